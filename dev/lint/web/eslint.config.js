// Rules for the console's scripts, beside what the compiler checks.
const rules = {
  "array-callback-return": "error",
  curly: ["error", "multi-line"],
  "default-case-last": "error",
  eqeqeq: "error",
  "no-console": "error",
  "no-constant-condition": ["error", { checkLoops: false }],
  "no-duplicate-imports": "error",
  "no-eval": "error",
  "no-implied-eval": "error",
  "no-new-func": "error",
  "no-param-reassign": "error",
  "no-promise-executor-return": "off",
  "no-restricted-globals": ["error", "localStorage", "sessionStorage", "name", "event"],
  "no-restricted-properties": [
    "error",
    ...["innerHTML", "outerHTML", "insertAdjacentHTML", "srcdoc"].map((property) => ({
      property,
      message: "Text of strangers must not become markup.",
    })),
    { object: "document", property: "write" },
    { object: "document", property: "cookie" },
  ],
  "no-script-url": "error",
  "no-self-compare": "error",
  "no-shadow": "error",
  "no-unreachable": "error",
  "no-unsafe-finally": "error",
  "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
  "no-use-before-define": ["error", { functions: false, classes: false, variables: false }],
  "no-var": "error",
  "object-shorthand": "error",
  "prefer-const": "error",
  "prefer-template": "error",
  "require-atomic-updates": "off",
};

export default [{ files: ["**/*.js"], languageOptions: { ecmaVersion: 2024, sourceType: "module" }, rules }];
