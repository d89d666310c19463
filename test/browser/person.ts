/** Somebody who sits before the page: reads what is on the screen and clicks. */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { SCREENSHOTS } from "./chromium.ts";

const PATIENCE_MS = 20_000;

/** One answer that the page had, with names in its path left out. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly url: string;
  readonly status: number;
}

export class Person {
  readonly name: string;
  readonly page: Page;
  /** In the order of their answers. */
  readonly asked: Asked[] = [];
  readonly console: string[] = [];
  readonly #context: BrowserContext;

  private constructor(name: string, context: BrowserContext, page: Page) {
    this.name = name;
    this.page = page;
    this.#context = context;
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type()))
        this.console.push(`${message.type()}: ${message.text().split("\n", 1)[0] ?? ""}`);
    });
    page.on("pageerror", (error) => this.console.push(`uncaught: ${error.message}`));
    page.on("response", (response) => {
      const url = new URL(response.url());
      if (!url.pathname.startsWith("/_matrix/")) return;
      const method = response.request().method();
      const status = response.status();
      this.asked.push({ method, path: shapeOf(url.pathname), url: response.url(), status });
      if (status < 400) return;
      const told = (body: string): number => this.console.push(`${method} ${response.url()}: ${status} ${body}`);
      response.text().then(told, () => told(""));
    });
  }

  /** With a profile of its own, as on a machine of its own. */
  static async sitDown(name: string, browser: Browser, address: string): Promise<Person> {
    const context = await browser.newContext({ viewport: { width: 1100, height: 700 } });
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    const person = new Person(name, context, page);
    await page.goto(address);
    return person;
  }

  async signIn(homeserver: string, user: string): Promise<void> {
    await this.page.getByLabel("homeserver").fill(homeserver);
    await this.page.getByLabel("user").fill(user);
    await this.page.getByLabel("password").fill(user);
    await this.click("Sign in");
    await this.page.getByText("Welcome").waitFor();
  }

  async click(label: string | RegExp): Promise<void> {
    await this.page
      .getByRole("button", { name: label, exact: typeof label === "string" })
      .first()
      .click();
  }

  /** What the directory has under these words. */
  async search(server: string, words: string): Promise<readonly string[]> {
    await this.click("Explore rooms");
    await this.page.getByLabel("server").fill(server);
    await this.page.getByLabel("search").fill(words);
    await this.click("Search");
    await this.page.locator(".entry").first().waitFor();
    return this.texts(".entry .about");
  }

  /** A link such as `#/room/!id?via=server`. */
  async followLink(fragment: string): Promise<void> {
    await this.page.evaluate(`location.hash = ${JSON.stringify(fragment)}`);
  }

  /** The texts of the elements, in the order of the page. */
  texts(selector: string): Promise<string[]> {
    return this.page.locator(selector).allInnerTexts();
  }

  async text(selector: string): Promise<string> {
    return (await this.page.locator(selector).first().innerText()).trim();
  }

  at(selector: string): Locator {
    return this.page.locator(selector);
  }

  /** What the screen says of a message, once it is there. */
  async sees(text: string | RegExp, where = "#timeline .text"): Promise<void> {
    await this.page.locator(where).filter({ hasText: text }).first().waitFor();
  }

  /** That a picture is there, and not the sign of a broken one. */
  async seesPicture(selector: string): Promise<void> {
    const wide = `document.querySelector(${JSON.stringify(selector)})?.naturalWidth > 0`;
    await this.page.waitForFunction(wide);
  }

  /** A picture of the screen and what the page wrote, kept for whoever looks into a failure. Answers with the file. */
  async keepPicture(title: string): Promise<string> {
    const file = path.join(SCREENSHOTS, `${`${title} ${this.name}`.replace(/[^\w.-]+/g, "-")}.png`);
    await mkdir(SCREENSHOTS, { recursive: true });
    await this.page.screenshot({ path: file });
    return file;
  }

  async leave(): Promise<void> {
    await this.#context.close();
  }
}

/** `…/rooms/:/initialSync`: a path, as it came or in the table of Element's, without names and query. */
export function shapeOf(path: string): string {
  return path
    .replace(/\?.*/, "")
    .replace(/(?<=\/media\/(?:thumbnail|download))\/.+/, "/:")
    .split("/")
    .map((segment) => (/^(?:%[24][0134]|[!@#$]|\{)/i.test(segment) ? ":" : segment))
    .join("/");
}
