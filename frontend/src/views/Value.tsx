/** One value in its format: the same in facts and in tables. */
import { Check, CircleCheck, CircleExclamation, CircleInfo, TriangleExclamation, Xmark } from "@gravity-ui/icons";
import { Icon, Label } from "@gravity-ui/uikit";
import type { ReactNode } from "react";

import { type FieldFormat, type FieldSpec, type Tone, toneOf } from "../dashboard/manifest";
import { useI18n } from "../i18n";
import type { I18n } from "../i18n";
import { Moment } from "../i18n/Moment";
import { CopyText } from "../shell/CopyText";
import styles from "./Value.module.css";

export const isNothing = (value: unknown): boolean =>
  value === null || value === undefined || value === "" || (Array.isArray(value) && value.length === 0);

interface Money {
  minorUnits: number;
  currency: string;
}

const isMoney = (value: unknown): value is Money =>
  typeof value === "object" && value !== null && "minorUnits" in value && "currency" in value;

/** Any value as plain text: for titles, sorting and whatever has no format of its own. */
export function plainText(value: unknown, { t, format }: I18n): string {
  if (isNothing(value)) return "";
  if (typeof value === "boolean") return value ? t("common.yes") : t("common.no");
  if (typeof value === "number") return format.number(value);
  if (isMoney(value)) return format.money(value.minorUnits, value.currency);
  if (Array.isArray(value)) return value.map((item) => plainText(item, { t, format } as I18n)).join(", ");
  return typeof value === "string" ? value : JSON.stringify(value);
}

type Draw = (text: string, value: unknown, i18n: I18n, tone: Tone | null) => ReactNode;

const SIGNS = {
  warning: TriangleExclamation,
  danger: CircleExclamation,
  info: CircleInfo,
  positive: CircleCheck,
} as const satisfies Record<Tone, unknown>;

const DRAW: Readonly<Record<FieldFormat, Draw>> = {
  text: (text) => text,
  copy: (text) => <CopyText text={text} />,
  datetime: (text) => <Moment at={text} />,
  date: (text, _value, { format }) => <time dateTime={text}>{format.date(text)}</time>,
  boolean: (text, value) => (
    <span className={styles.boolean}>
      <Icon data={value === true ? Check : Xmark} size={14} />
      {text}
    </span>
  ),
  money: (text) => text,
  number: (text) => text,
  list: (text, value) =>
    Array.isArray(value) ? (
      <ul className={styles.list}>
        {value.map((item, index) => (
          <li key={index} className={styles.item}>
            {String(item)}
          </li>
        ))}
      </ul>
    ) : (
      text
    ),
  phone: (text) => <a href={`tel:${text.replace(/[^+\d]/g, "")}`}>{text}</a>,
  email: (text) => <a href={`mailto:${text}`}>{text}</a>,
  tag: (text, _value, { find }) => <Label size="xs">{find(`value.${text}`) ?? text}</Label>,
  country: (text, _value, { format }) => format.country(text),
  alert: (text, _value, { find }, tone) => {
    const shown = find(`value.${text}`) ?? text;
    if (tone === null) return shown;
    return (
      <span className={styles.alert} data-tone={tone}>
        <Icon data={SIGNS[tone]} size={14} />
        {shown}
      </span>
    );
  },
};

export function Value({ value, field }: { value: unknown; field: FieldSpec }) {
  const i18n = useI18n();
  if (isNothing(value)) return <span className={styles.nothing}>{i18n.t("common.nothing")}</span>;
  return DRAW[field.format](plainText(value, i18n), value, i18n, toneOf(field, value));
}
