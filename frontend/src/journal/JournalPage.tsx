/** The journal: a dense list, filters as chips, a record read as a sentence, then raw, with its place in the chain. */
import { ArrowRotateRight } from "@gravity-ui/icons";
import { Button, Drawer, Icon, Skeleton } from "@gravity-ui/uikit";
import { useMemo, useState } from "react";
import { useLocation, useParams, useSearchParams } from "wouter";

import { useNow } from "../clock";
import type { RecordLineFragment } from "../generated/graphql";
import { useI18n } from "../i18n";
import { DeniedFace, Face, FailedFace } from "../shell/Faces";
import { recordPath } from "../shell/pages";
import { Chips } from "./Chips";
import { type Filters, matches, NO_FILTERS, operationsOf, typesOf } from "./filters";
import styles from "./JournalPage.module.css";
import { Outcome } from "./Outcome";
import { RecordSheet } from "./RecordSheet";
import { useRecords } from "./useRecords";

export default function JournalPage() {
  const { t } = useI18n();
  const { id } = useParams<{ id?: string }>();
  const [, navigate] = useLocation();
  const [parameters, setParameters] = useSearchParams();
  const employee = parameters.get("employee");
  const place = parameters.size > 0 ? `?${parameters}` : "";
  const [filters, setFilters] = useState<Filters>(NO_FILTERS);
  const journal = useRecords(employee);
  const shown = journal.records.filter((record) => matches(record, filters));
  const opened = id === undefined ? null : decodeURIComponent(id);
  const close = () => navigate(`/journal${place}`);

  return (
    <div className={styles.page}>
      <header className={styles.header}>
        <h1 className={styles.title}>{t("page.journal")}</h1>
        <p className={styles.about}>{t("journal.about")}</p>
        <Button className={styles.reload} onClick={journal.reload} loading={journal.fetching}>
          <Icon data={ArrowRotateRight} size={14} />
          {t("journal.reload")}
        </Button>
      </header>
      <Chips
        filters={filters}
        types={typesOf(journal.records)}
        employee={
          employee === null
            ? null
            : (journal.records.find(({ subjectId }) => subjectId === employee)?.subjectLabel ?? employee)
        }
        onChange={setFilters}
        onAnyEmployee={() => setParameters({})}
      />
      <Listed
        journal={journal}
        shown={shown}
        opened={opened}
        onOpen={(record) => navigate(recordPath(record.id) + place)}
      />
      <Drawer
        open={opened !== null}
        placement="right"
        size={560}
        maxSize={800}
        aria-label={t("journal.record")}
        contentClassName={styles.drawer}
        onOpenChange={(open) => !open && close()}
      >
        {opened !== null && <RecordSheet id={opened} onClose={close} />}
      </Drawer>
    </div>
  );
}

interface ListedProps {
  journal: ReturnType<typeof useRecords>;
  shown: readonly RecordLineFragment[];
  opened: string | null;
  onOpen(record: RecordLineFragment): void;
}

function Listed({ journal, shown, opened, onOpen }: ListedProps) {
  const { t } = useI18n();
  const operations = useMemo(() => operationsOf(journal.records), [journal.records]);
  if (journal.records.length === 0) {
    if (journal.failure !== null) {
      return (
        <FailedFace
          title={t("journal.failed.title")}
          text={t("journal.failed.text")}
          failure={journal.failure}
          onRetry={journal.reload}
        />
      );
    }
    if (journal.fetching) return <Waiting />;
    const denial = journal.gate.denialOf("auditRecords");
    if (denial !== null) return <DeniedFace denial={denial} />;
    return <Face title={t("journal.empty.title")} text={t("journal.empty.text")} testId="empty" />;
  }
  return (
    <>
      <div className={styles.scroll}>
        <table className={styles.table} data-testid="journal">
          <thead>
            <tr>
              <th scope="col">{t("journal.at")}</th>
              <th scope="col">{t("journal.what")}</th>
              <th scope="col">{t("journal.who")}</th>
              <th scope="col">{t("journal.whom")}</th>
              <th scope="col">{t("journal.outcome")}</th>
              <th scope="col" className={styles.number}>
                {t("journal.seq")}
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((record) => (
              <Row
                key={record.id}
                record={record}
                operation={operations.get(record.id)}
                opened={record.id === opened}
                onOpen={onOpen}
              />
            ))}
          </tbody>
        </table>
      </div>
      <footer className={styles.footer}>
        <p role="status">{t("journal.shown", { shown: shown.length, loaded: journal.records.length })}</p>
        {journal.failure !== null && <p role="alert">{t("journal.more_failed")}</p>}
        {journal.next !== null && (
          <Button onClick={journal.more} loading={journal.fetching}>
            {t("journal.more")}
          </Button>
        )}
      </footer>
    </>
  );
}

function Row({
  record,
  operation,
  opened,
  onOpen,
}: {
  record: RecordLineFragment;
  operation: string | undefined;
  opened: boolean;
  onOpen(record: RecordLineFragment): void;
}) {
  const { t, pick, format } = useI18n();
  const now = useNow();
  return (
    <tr className={styles.row} data-opened={opened} onClick={() => onOpen(record)} data-testid="journal-row">
      <td className={styles.at}>
        <time dateTime={record.at} title={format.relative(record.at, now)}>
          {format.stamp(record.at)}
        </time>
      </td>
      <td>
        <a href={recordPath(record.id)} className={styles.open}>
          {pick(record.title)}
        </a>
        {operation !== undefined && <span className={styles.operation}>{operation}</span>}
        {record.phase !== "event" && (
          <span className={styles.phase}>{t(record.phase === "intent" ? "phase.intent" : "phase.outcome")}</span>
        )}
      </td>
      <td>{record.actorName ?? record.actorLogin ?? t("journal.nobody")}</td>
      <td className={styles.whom}>{record.subjectLabel ?? record.subjectId ?? t("common.nothing")}</td>
      <td>
        <Outcome record={record} />
      </td>
      <td className={styles.number}>{format.number(record.seq)}</td>
    </tr>
  );
}

function Waiting() {
  const { t } = useI18n();
  return (
    <div className={styles.waiting} role="status" aria-label={t("common.loading")}>
      {Array.from({ length: 12 }, (_, index) => (
        <Skeleton key={index} style={{ height: 28 }} />
      ))}
    </div>
  );
}
