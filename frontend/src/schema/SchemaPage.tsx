/** The schema of the API and who uses it: what is still asked for, by which client, and what nobody would miss. */
import { ArrowRotateRight } from "@gravity-ui/icons";
import { Button, Icon, Skeleton } from "@gravity-ui/uikit";
import { useEffect, useState } from "react";
import { useSearchParams } from "wouter";

import { useI18n } from "../i18n";
import { useDebounced } from "../people/useSearch";
import { DeniedFace, Face, FailedFace } from "../shell/Faces";
import { Chips } from "./Chips";
import { type Filters, isFiltered, NO_FILTERS, readFilters, writeFilters } from "./filters";
import { PartRow } from "./PartRow";
import { byType } from "./parts";
import styles from "./SchemaPage.module.css";
import { type Usage, useUsage } from "./useUsage";

const PAUSE_MILLISECONDS = 200;

export default function SchemaPage() {
  const { t } = useI18n();
  const [address, setAddress] = useSearchParams();
  const filters = readFilters(address);
  const [typed, setTyped] = useState(filters.search);
  const search = useDebounced(typed, PAUSE_MILLISECONDS);
  const usage = useUsage(filters);
  const change = (next: Filters) => setAddress(writeFilters(next), { replace: true });
  useEffect(() => {
    setAddress((now) => writeFilters({ ...readFilters(now), search }), { replace: true });
  }, [search, setAddress]);

  return (
    <div className={styles.page}>
      <header className={styles.header}>
        <h1 className={styles.title}>{t("page.schema")}</h1>
        <p className={styles.about}>{t("schema.about")}</p>
        <Button className={styles.reload} onClick={usage.reload} loading={usage.fetching}>
          <Icon data={ArrowRotateRight} size={14} />
          {t("schema.reload")}
        </Button>
      </header>
      <Chips filters={filters} typed={typed} onType={setTyped} onChange={change} />
      <Listed
        usage={usage}
        filters={filters}
        onClient={(client) => change({ ...filters, client })}
        onAll={() => {
          setTyped("");
          change({ ...NO_FILTERS, days: filters.days });
        }}
      />
    </div>
  );
}

interface ListedProps {
  usage: Usage & { more(): void; reload(): void };
  filters: Filters;
  onClient(client: string): void;
  onAll(): void;
}

function Listed({ usage, filters, onClient, onAll }: ListedProps) {
  const { t } = useI18n();
  if (usage.parts.length === 0) {
    if (usage.failure !== null) {
      return (
        <FailedFace
          title={t("schema.failed.title")}
          text={t("schema.failed.text")}
          failure={usage.failure}
          onRetry={usage.reload}
        />
      );
    }
    if (usage.fetching) return <Waiting />;
    const denial = usage.gate.denialOf("schemaUsage");
    if (denial !== null) return <DeniedFace denial={denial} />;
    return <Nothing filters={filters} onAll={onAll} />;
  }
  return (
    <>
      <Summary usage={usage} />
      <div className={styles.scroll} data-busy={usage.fetching}>
        <table className={styles.table} data-testid="schema-usage">
          <thead>
            <tr>
              <th scope="col">{t("schema.part")}</th>
              <th scope="col" className={styles.number}>
                {t("schema.operations")}
              </th>
              <th scope="col">{t("schema.clients")}</th>
              <th scope="col">{t("schema.last_seen")}</th>
            </tr>
          </thead>
          {byType(usage.parts).map(({ name, parts }) => (
            <tbody key={name}>
              <tr className={styles.type}>
                <th scope="rowgroup" colSpan={4}>
                  {name}
                </th>
              </tr>
              {parts.map((part) => (
                <PartRow key={part.coordinate} part={part} onClient={onClient} />
              ))}
            </tbody>
          ))}
        </table>
      </div>
      <footer className={styles.footer}>
        {usage.failure !== null && <p role="alert">{t("schema.old")}</p>}
        {usage.next !== null && (
          <Button onClick={usage.more} loading={usage.fetching}>
            {t("schema.more")}
          </Button>
        )}
      </footer>
    </>
  );
}

/** How much there is, and since when it is known: "nobody" means little when nobody has looked for long. */
function Summary({ usage }: { usage: Usage }) {
  const { t, format } = useI18n();
  return (
    <p role="status" className={styles.summary}>
      {t("schema.shown", { shown: usage.parts.length, count: usage.total ?? usage.parts.length })}
      {" · "}
      {usage.recordedSince === null
        ? t("schema.not_recorded")
        : t("schema.recorded_since", { date: format.date(usage.recordedSince) })}
    </p>
  );
}

function Nothing({ filters, onAll }: { filters: Filters; onAll(): void }) {
  const { t } = useI18n();
  const onlyDeprecated = filters.deprecatedOnly && !isFiltered({ ...filters, deprecatedOnly: false });
  return (
    <Face
      testId="empty"
      title={onlyDeprecated ? t("schema.no_deprecated.title") : t("schema.nothing.title")}
      text={onlyDeprecated ? t("schema.no_deprecated.text") : t("schema.nothing.text")}
    >
      {isFiltered(filters) && <Button onClick={onAll}>{t("schema.show_all")}</Button>}
    </Face>
  );
}

function Waiting() {
  const { t } = useI18n();
  return (
    <div className={styles.waiting} role="status" aria-label={t("common.loading")}>
      {Array.from({ length: 14 }, (_, index) => (
        <Skeleton key={index} style={{ height: 28 }} />
      ))}
    </div>
  );
}
