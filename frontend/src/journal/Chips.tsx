/** The filters of the journal, a chip each. */
import { Xmark } from "@gravity-ui/icons";
import { Button, Icon, Select, TextInput } from "@gravity-ui/uikit";

import { useI18n } from "../i18n";
import { type EventKind, type Filters, OUTCOMES } from "./filters";
import styles from "./JournalPage.module.css";

interface Props {
  filters: Filters;
  types: readonly EventKind[];
  employee: string | null;
  onChange(filters: Filters): void;
  onAnyEmployee(): void;
}

export function Chips({ filters, types, employee, onChange, onAnyEmployee }: Props) {
  const { t, pick } = useI18n();
  return (
    <div className={styles.chips} role="group" aria-label={t("journal.filters")}>
      <TextInput
        className={styles.text}
        value={filters.text}
        onUpdate={(text) => onChange({ ...filters, text })}
        hasClear
        autoComplete={false}
        placeholder={t("journal.text")}
        controlProps={{ "aria-label": t("journal.text") }}
      />
      {OUTCOMES.map((outcome) => (
        <Button
          key={outcome}
          pin="circle-circle"
          selected={filters.outcome === outcome}
          aria-pressed={filters.outcome === outcome}
          onClick={() => onChange({ ...filters, outcome: filters.outcome === outcome ? null : outcome })}
        >
          {t(`journal.outcome.${outcome}`)}
        </Button>
      ))}
      <Button
        pin="circle-circle"
        selected={filters.withoutSessions}
        aria-pressed={filters.withoutSessions}
        onClick={() => onChange({ ...filters, withoutSessions: !filters.withoutSessions })}
      >
        {t("journal.without_sessions")}
      </Button>
      <Select
        hasClear
        placeholder={t("journal.any_type")}
        aria-label={t("journal.any_type")}
        value={filters.type === null ? [] : [filters.type]}
        onUpdate={([type]) => onChange({ ...filters, type: type ?? null })}
        options={types.map(({ id, title }) => ({ value: id, content: pick(title) || id }))}
      />
      {employee !== null && (
        <Button pin="circle-circle" selected onClick={onAnyEmployee} aria-label={t("journal.any_employee")}>
          {t("journal.employee", { name: employee })}
          <Icon data={Xmark} size={12} />
        </Button>
      )}
    </div>
  );
}
