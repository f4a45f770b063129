import { RuleTester } from "eslint";
import { describe, it } from "vitest";

import rule from "./no-literal-text.js";

RuleTester.describe = describe;
RuleTester.it = it;

const tester = new RuleTester({ languageOptions: { parserOptions: { ecmaFeatures: { jsx: true } } } });
const errors = [{ messageId: "literal" }];

tester.run("no-literal-text", rule, {
  valid: [
    '<p>{t("a.b")}</p>',
    "<p>→ 5 · —</p>",
    '<p className="red" data-testid="x">{value}</p>',
    '<a href="/people" title={t("x")} />',
  ],
  invalid: [
    { code: "<p>Hello</p>", errors },
    { code: "<p>Привет</p>", errors },
    { code: '<p>{"Hello"}</p>', errors },
    { code: '<p>{ready ? "Yes" : t("no")}</p>', errors },
    { code: "<p>{`${count} people`}</p>", errors },
    { code: '<a title="Hello" />', errors },
    { code: '<a aria-label={busy && "Hello"} />', errors },
  ],
});
