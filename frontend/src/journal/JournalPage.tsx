/** The journal: a dense list, filters as chips, a record read as a sentence, then raw, with its place in the chain. */
import { ArrowRotateRight, ArrowUp } from "@gravity-ui/icons";
import { Button, Drawer, Icon, Skeleton } from "@gravity-ui/uikit";
import { type RefObject, useEffect, useMemo, useRef, useState } from "react";
import { useQuery } from "urql";
import { useLocation, useParams, useSearchParams } from "wouter";

import { useNow } from "../clock";
import { JournalEventTypesDocument, type RecordLineFragment } from "../generated/graphql";
import { useI18n } from "../i18n";
import { DeniedFace, Face, FailedFace } from "../shell/Faces";
import { recordPath } from "../shell/pages";
import { Chips } from "./Chips";
import { askedOf, type Filters, operationsOf, readFilters, writeFilters } from "./filters";
import styles from "./JournalPage.module.css";
import { LiveSwitch } from "./LiveSwitch";
import { Outcome } from "./Outcome";
import { RecordSheet } from "./RecordSheet";
import { useNames } from "./useNames";
import { type Journal, useRecords } from "./useRecords";

/** Scrolled by less than this, one is at the top. */
const TOP_PIXELS = 24;
const scroller = () => document.getElementById("content");
const isAtTop = () => (scroller()?.scrollTop ?? 0) < TOP_PIXELS;

export default function JournalPage() {
  const { t } = useI18n();
  const { id } = useParams<{ id?: string }>();
  const [, navigate] = useLocation();
  const [parameters, setParameters] = useSearchParams();
  const place = parameters.size > 0 ? `?${parameters}` : "";
  const filters = useMemo(() => readFilters(new URLSearchParams(place)), [place]);
  const setFilters = (changed: Filters) => setParameters(writeFilters(changed), { replace: true });
  const [{ data: known, error: typesUnknown }] = useQuery({ query: JournalEventTypesDocument });
  const types = known?.auditEventTypes ?? [];
  // A period is counted from when it was chosen, so that the list does not begin anew each moment.
  const asked = useMemo(() => {
    const isWaiting = filters.withoutSessions && known === undefined && typesUnknown === undefined;
    return isWaiting ? null : askedOf(filters, known?.auditEventTypes?.map(({ id }) => id) ?? null, Date.now());
  }, [filters, known, typesUnknown]);
  const [paused, setPaused] = useState(false);
  const table = useRef<HTMLTableElement>(null);
  const isReading = () =>
    paused ||
    id !== undefined ||
    !isAtTop() ||
    (table.current !== null && (table.current.matches(":hover") || table.current.contains(document.activeElement)));
  const journal = useRecords(asked, isReading);
  useReleaseAtTop(journal, paused);
  const names = useNames(journal.records);
  const isNarrowed = parameters.size > 0;
  const opened = id === undefined ? null : decodeURIComponent(id);
  const close = () => navigate(`/journal${place}`);

  return (
    <div className={styles.page}>
      <header className={styles.header}>
        <h1 className={styles.title}>{t("page.journal")}</h1>
        <p className={styles.about}>{t("journal.about")}</p>
        <div className={styles.reading}>
          <LiveSwitch
            state={journal.live}
            paused={paused}
            onPause={(pause) => {
              setPaused(pause);
              if (!pause) journal.release();
            }}
          />
          <Button onClick={journal.reload} loading={journal.fetching}>
            <Icon data={ArrowRotateRight} size={14} />
            {t("journal.reload")}
          </Button>
        </div>
      </header>
      <Chips
        filters={filters}
        types={types}
        names={{
          subject:
            names.get(filters.subject ?? "") ??
            journal.records.find(({ subjectId }) => subjectId === filters.subject)?.subjectLabel ??
            null,
          actor: journal.records.find(({ actorId }) => actorId === filters.actor)?.actorName ?? null,
        }}
        onChange={setFilters}
      />
      <div className={styles.list}>
        <NewRecords
          count={journal.held.length}
          behind={journal.behind}
          onShow={() => {
            scroller()?.scrollTo({ top: 0 });
            journal.release();
          }}
        />
        <Listed
          table={table}
          journal={journal}
          names={names}
          isNarrowed={isNarrowed}
          onAll={() => setParameters({})}
          opened={opened}
          onOpen={(record) => navigate(recordPath(record.id) + place)}
        />
      </div>
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

/** Whoever scrolls back to the top wants to see what is new there. */
function useReleaseAtTop({ release }: Journal, paused: boolean): void {
  useEffect(() => {
    const content = scroller();
    if (content === null || paused) return;
    const look = () => {
      if (isAtTop()) release();
    };
    content.addEventListener("scroll", look, { passive: true });
    return () => content.removeEventListener("scroll", look);
  }, [release, paused]);
}

/** How many records wait above the list, over it, so that nothing moves when they come. */
function NewRecords({ count, behind, onShow }: { count: number; behind: boolean; onShow(): void }) {
  const { t } = useI18n();
  return (
    <div className={styles.new} role="status">
      {(behind || count > 0) && (
        <Button view="action" pin="circle-circle" onClick={onShow} data-testid="new-records">
          <Icon data={ArrowUp} size={14} />
          {behind ? t("journal.new_many") : t("journal.new", { count })}
        </Button>
      )}
    </div>
  );
}

interface ListedProps {
  table: RefObject<HTMLTableElement>;
  journal: Journal;
  names: ReadonlyMap<string, string>;
  isNarrowed: boolean;
  onAll(): void;
  opened: string | null;
  onOpen(record: RecordLineFragment): void;
}

function Listed({ table, journal, names, isNarrowed, onAll, opened, onOpen }: ListedProps) {
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
    if (isNarrowed) {
      return (
        <Face title={t("journal.none.title")} text={t("journal.none.text")} testId="empty">
          <Button onClick={onAll}>{t("journal.none.all")}</Button>
        </Face>
      );
    }
    return <Face title={t("journal.empty.title")} text={t("journal.empty.text")} testId="empty" />;
  }
  return (
    <>
      <div className={styles.scroll}>
        <table ref={table} className={styles.table} data-testid="journal">
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
            {journal.records.map((record) => (
              <Row
                key={record.id}
                record={record}
                operation={operations.get(record.id)}
                name={names.get(record.subjectId ?? "")}
                opened={record.id === opened}
                added={journal.added.has(record.id)}
                onOpen={onOpen}
              />
            ))}
          </tbody>
        </table>
      </div>
      <footer className={styles.footer}>
        <p role="status">{t("journal.loaded", { count: journal.records.length })}</p>
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
  name,
  opened,
  added,
  onOpen,
}: {
  record: RecordLineFragment;
  operation: string | undefined;
  name: string | undefined;
  opened: boolean;
  added: boolean;
  onOpen(record: RecordLineFragment): void;
}) {
  const { t, pick, format } = useI18n();
  const now = useNow();
  return (
    <tr
      className={styles.row}
      data-opened={opened}
      data-added={added}
      onClick={() => onOpen(record)}
      data-testid="journal-row"
    >
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
      <td className={styles.whom} data-nobody={(record.subjectId ?? record.subjectLabel) == null && !record.erased}>
        <Whom record={record} name={name} />
      </td>
      <td>
        <Outcome record={record} />
      </td>
      <td className={styles.number}>{format.number(record.seq)}</td>
    </tr>
  );
}

/** The name first, and what the journal has recorded beside it. */
function Whom({ record, name }: { record: RecordLineFragment; name: string | undefined }) {
  const { t } = useI18n();
  if (record.erased) return <span className={styles.phase}>{t("journal.erased")}</span>;
  if (name === undefined) return record.subjectLabel ?? record.subjectId ?? t("common.nothing");
  return (
    <>
      {name}
      {record.subjectLabel != null && record.subjectLabel !== name && (
        <span className={styles.recorded}>{record.subjectLabel}</span>
      )}
    </>
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
