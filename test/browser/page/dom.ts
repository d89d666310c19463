/** What the page is made of. */
type Child = Node | string | null;

/** An element; `class`, `id` and other attributes as they are, functions as listeners. */
export function h<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Readonly<Record<string, string | ((event: Event) => void)>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function button(label: string, press: () => unknown): HTMLButtonElement {
  return h("button", { click: () => void press(), type: "button" }, label);
}
