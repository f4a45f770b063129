/** Texts for people come from the catalogues: a literal one in TSX would be in one language only. */

const TEXT_ATTRIBUTES = new Set([
  "title",
  "label",
  "placeholder",
  "alt",
  "aria-label",
  "aria-description",
  "caption",
  "text",
  "message",
]);
const LETTER = /\p{L}/u;

/** @type {import("eslint").Rule.RuleModule} */
export default {
  meta: {
    type: "problem",
    messages: {
      literal: 'Text for people belongs into src/i18n/*.json: write {t("…")} instead of "{{text}}".',
    },
    schema: [],
  },
  create(context) {
    const report = (node, text) =>
      context.report({ node, messageId: "literal", data: { text: text.trim().slice(0, 40) } });
    const literals = (node) => {
      if (node === null || node === undefined) return;
      if (node.type === "Literal" && typeof node.value === "string" && LETTER.test(node.value))
        report(node, node.value);
      if (node.type === "TemplateLiteral" && node.quasis.some((part) => LETTER.test(part.value.cooked ?? ""))) {
        report(node, node.quasis.map((part) => part.value.cooked).join("…"));
      }
      if (node.type === "ConditionalExpression") [node.consequent, node.alternate].forEach(literals);
      if (node.type === "LogicalExpression") [node.left, node.right].forEach(literals);
    };
    return {
      JSXText(node) {
        if (LETTER.test(node.value)) report(node, node.value);
      },
      JSXExpressionContainer(node) {
        if (node.parent.type !== "JSXAttribute") literals(node.expression);
      },
      JSXAttribute(node) {
        const name = node.name.type === "JSXIdentifier" ? node.name.name : "";
        if (!TEXT_ATTRIBUTES.has(name)) return;
        literals(node.value?.type === "JSXExpressionContainer" ? node.value.expression : node.value);
      },
    };
  },
};
