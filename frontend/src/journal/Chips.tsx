/** The filters of the journal, a chip each. The server applies them. */
import { Xmark } from "@gravity-ui/icons";
import { Button, Icon, Select, TextInput } from "@gravity-ui/uikit";
import { useEffect, useRef, useState } from "react";

import { useI18n } from "../i18n";
import { type Filters, MIN_TEXT, OUTCOMES, type Period, PERIODS } from "./filters";
import styles from "./JournalPage.module.css";

/** Typing asks the server once it pauses. */
const PAUSE_MILLISECONDS = 300;

export interface EventKind {
  id: string;
  title: unknown;
}

interface Props {
  filters: Filters;
  types: readonly EventKind[];
  /** What the ids that a list is narrowed to are called, where that is known. */
  names: { subject: string | null; actor: string | null };
  onChange(filters: Filters): void;
}

export function Chips({ filters, types, names, onChange }: Props) {
  const { t, pick, format } = useI18n();
  const narrowed: readonly (readonly [keyof Filters, string])[] = [
    ...(filters.subject === null
      ? []
      : [["subject", t("journal.employee", { name: names.subject ?? filters.subject })] as const]),
    ...(filters.actor === null ? [] : [["actor", t("journal.actor", { name: names.actor ?? filters.actor })] as const]),
    ...(filters.team === null ? [] : [["team", t("journal.team_is", { team: filters.team })] as const]),
    ...(filters.chain === null
      ? []
      : [["chain", t("journal.chain_is", { chain: filters.chain.slice(0, 8) })] as const]),
    ...(filters.phase === null ? [] : [["phase", t(`phase.${filters.phase}`)] as const]),
    ...(filters.since === null ? [] : [["since", t("journal.since", { at: format.dateTime(filters.since) })] as const]),
    ...(filters.until === null ? [] : [["until", t("journal.until", { at: format.dateTime(filters.until) })] as const]),
  ];
  return (
    <div className={styles.chips} role="group" aria-label={t("journal.filters")}>
      <TextFilter text={filters.text} onChange={(text) => onChange({ ...filters, text })} />
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
        multiple
        hasClear
        hasCounter={filters.types.length > 0}
        filterable={types.length > 12}
        placeholder={t("journal.any_type")}
        aria-label={t("journal.any_type")}
        value={[...filters.types]}
        onUpdate={(chosen) => onChange({ ...filters, types: chosen })}
        options={types.map(({ id, title }) => ({ value: id, content: pick(title) || id, text: pick(title) || id }))}
      />
      <Select
        hasClear
        placeholder={t("journal.any_time")}
        aria-label={t("journal.any_time")}
        value={filters.period === null ? [] : [filters.period]}
        onUpdate={([period]) => onChange({ ...filters, period: (period as Period | undefined) ?? null })}
        options={(Object.keys(PERIODS) as Period[]).map((period) => ({
          value: period,
          content: t(`journal.period.${period}`),
        }))}
      />
      {narrowed.map(([name, text]) => (
        <Button
          key={name}
          pin="circle-circle"
          selected
          onClick={() => onChange({ ...filters, [name]: null })}
          aria-label={t("journal.remove_filter", { filter: text })}
          data-testid={`filter-${name}`}
        >
          {text}
          <Icon data={Xmark} size={12} />
        </Button>
      ))}
    </div>
  );
}

/** What is typed, told when typing pauses; what comes from elsewhere, as the way back, is shown. */
function TextFilter({ text, onChange }: { text: string; onChange(text: string): void }) {
  const { t } = useI18n();
  const [typed, setTyped] = useState(text);
  const told = useRef(text);
  const tell = useRef(onChange);
  useEffect(() => {
    tell.current = onChange;
  });
  useEffect(() => {
    if (text !== told.current) setTyped(text);
    told.current = text;
  }, [text]);
  useEffect(() => {
    if (typed === told.current) return;
    const timer = window.setTimeout(() => {
      told.current = typed;
      tell.current(typed);
    }, PAUSE_MILLISECONDS);
    return () => window.clearTimeout(timer);
  }, [typed]);
  const words = typed.trim().split(/\s+/);
  const isShort = typed.trim() !== "" && words.every((word) => [...word].length < MIN_TEXT);
  return (
    <TextInput
      className={styles.text}
      value={typed}
      onUpdate={setTyped}
      hasClear
      autoComplete={false}
      placeholder={t("journal.text")}
      note={isShort ? t("journal.text_short", { count: MIN_TEXT }) : undefined}
      controlProps={{ "aria-label": t("journal.text"), maxLength: 100 }}
    />
  );
}
