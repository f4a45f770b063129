/** The filters of the page. */
import { Xmark } from "@gravity-ui/icons";
import { Button, Icon, Select, TextInput } from "@gravity-ui/uikit";

import { useI18n } from "../i18n";
import { type Filters, PERIODS } from "./filters";
import styles from "./SchemaPage.module.css";

interface Props {
  filters: Filters;
  typed: string;
  onType(text: string): void;
  onChange(filters: Filters): void;
}

export function Chips({ filters, typed, onType, onChange }: Props) {
  const { t } = useI18n();
  const toggle = (name: "deprecatedOnly" | "unusedOnly", title: string) => (
    <Button
      pin="circle-circle"
      selected={filters[name]}
      aria-pressed={filters[name]}
      onClick={() => onChange({ ...filters, [name]: !filters[name] })}
    >
      {title}
    </Button>
  );
  return (
    <div className={styles.chips} role="group" aria-label={t("schema.filters")}>
      <TextInput
        className={styles.search}
        value={typed}
        onUpdate={onType}
        hasClear
        autoComplete={false}
        placeholder={t("schema.search")}
        controlProps={{ "aria-label": t("schema.search"), spellCheck: false, maxLength: 200 }}
      />
      {toggle("deprecatedOnly", t("schema.deprecated_only"))}
      {toggle("unusedOnly", t("schema.unused_only"))}
      <Select
        aria-label={t("schema.period")}
        value={[String(filters.days)]}
        onUpdate={([days]) => onChange({ ...filters, days: Number(days) })}
        options={PERIODS.map((days) => ({ value: String(days), content: t("schema.days", { count: days }) }))}
      />
      {filters.client !== null && (
        <Button
          pin="circle-circle"
          selected
          onClick={() => onChange({ ...filters, client: null })}
          aria-label={t("schema.any_client")}
        >
          {t("schema.client", { name: filters.client })}
          <Icon data={Xmark} size={12} />
        </Button>
      )}
    </div>
  );
}
