import tseslint from "typescript-eslint";

/** Time and randomness are passed in (src/model/clock.ts), so that a test decides what happens when. */
const ambient = [
  { object: "Date", property: "now", message: "Take a Clock (src/model/clock.ts) instead." },
  { object: "Math", property: "random", message: "Take a Random (src/model/clock.ts) instead." },
  { object: "crypto", property: "randomUUID", message: "Take a Random (src/model/clock.ts) instead." },
];

export default tseslint.config(
  { ignores: ["dist/", "node_modules/", "vendor/", "**/*.cjs", "**/*.mjs", "eslint.config.js"] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/no-unnecessary-condition": [
        "error",
        { allowConstantLoopConditions: "only-allowed-literals" },
      ],
      "@typescript-eslint/require-await": "off",
      // Wrong about winston, whose transports are declared in a package of their own.
      "@typescript-eslint/no-unsafe-class-instance-assignment": "off",
      "@typescript-eslint/no-misused-promises": ["error", { checksVoidReturn: { arguments: false } }],
    },
  },
  {
    files: ["src/**/*.ts"],
    // The bridge runs inside other programs, which have no Clock of ours to pass.
    ignores: ["src/platform/clock.ts", "src/bridge/**"],
    rules: {
      "no-restricted-properties": ["error", ...ambient],
      "no-restricted-syntax": [
        "error",
        { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: "Take a Clock instead." },
        ...[":matches(NewExpression, CallExpression)[callee.name='RegExp'][arguments.0.type!='Literal']"].map(
          (selector) => ({
            selector,
            message: "RegExp may take for ever where others wrote the expression: src/platform/expressions.ts.",
          }),
        ),
      ],
      "no-console": "error",
    },
  },
  {
    files: ["src/cli/**/*.ts"],
    rules: { "no-console": "off" },
  },
  {
    files: ["test/**/*.ts"],
    rules: { "@typescript-eslint/no-non-null-assertion": "off" },
  },
);
