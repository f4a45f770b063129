/** The side sheet of an action: what cannot be known, what will change, one button that names the deed, the result. */
import { ArrowLeft, Xmark } from "@gravity-ui/icons";
import { Alert, Button, Icon, Skeleton } from "@gravity-ui/uikit";
import { type FormEvent, type MutableRefObject, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";

import { failureText } from "../api/failure";
import type { Offer } from "../dashboard/actions";
import { type I18n, useI18n } from "../i18n";
import { recordPath } from "../shell/pages";
import styles from "./ActionSheet.module.css";
import { Changes } from "./Changes";
import {
  type Complaint,
  complaintAbout,
  type FormField,
  type FormValues,
  initialValues,
  readForm,
  toInput,
} from "./schema";
import { SchemaForm } from "./SchemaForm";
import { StepUp } from "../signin/StepUp";
import { type Deed, type Problem, useOperation } from "./useOperation";

interface Props {
  offer: Offer;
  employee: string;
  name: string;
  /** Set to where the focus belongs once the sheet has slid in. */
  firstField: MutableRefObject<HTMLElement | null>;
  onBack: (() => void) | null;
  onClose(): void;
}

export function ActionSheet({ offer, employee, name, firstField, onBack, onClose }: Props) {
  const { t, pick } = useI18n();
  const fields = useMemo(() => readFormOrNull(offer.inputSchema), [offer.inputSchema]);
  const title = pick(offer.title);
  const [proven, setProven] = useState(!offer.secondFactor);
  return (
    <section className={styles.sheet} aria-label={title} data-testid="action-sheet">
      <header className={styles.header}>
        {onBack !== null && (
          <Button view="flat" onClick={onBack} aria-label={t("actions.back")} title={t("actions.back")}>
            <Icon data={ArrowLeft} size={16} />
          </Button>
        )}
        <div className={styles.titles}>
          <h2 className={styles.title}>{title}</h2>
          <p className={styles.for}>{t("actions.for", { name, system: pick(offer.sourceTitle) })}</p>
        </div>
        <Button view="flat" onClick={onClose} aria-label={t("common.close")} title={t("common.close")}>
          <Icon data={Xmark} size={16} />
        </Button>
      </header>
      {fields === null ? (
        <div className={styles.body}>
          <Alert theme="danger" message={t("actions.unsupported")} />
        </div>
      ) : !proven ? (
        <div className={styles.body}>
          <StepUp onProven={() => setProven(true)} />
        </div>
      ) : (
        <Steps
          offer={offer}
          fields={fields}
          employee={employee}
          title={title}
          firstField={firstField}
          onClose={onClose}
        />
      )}
    </section>
  );
}

/** Null when the schema asks for something no form here can: better said than half asked. */
function readFormOrNull(schema: unknown): readonly FormField[] | null {
  try {
    return readForm(schema);
  } catch {
    return null;
  }
}

interface StepsProps {
  offer: Offer;
  fields: readonly FormField[];
  employee: string;
  title: string;
  firstField: MutableRefObject<HTMLElement | null>;
  onClose(): void;
}

function Steps({ offer, fields, employee, title, firstField, onClose }: StepsProps) {
  const i18n = useI18n();
  const { t } = i18n;
  const deed = useOperation(offer.id, employee);
  const { stage, busy, preview, reset } = deed;
  const [values, setValues] = useState<FormValues>(() => initialValues(fields));
  const [shown, setShown] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const complaints = useMemo(
    () => allComplaints(fields, values, deed.problems, shown, i18n),
    [fields, values, deed.problems, shown, i18n],
  );
  const started = useRef(false);

  useEffect(() => {
    if (fields.length > 0 || started.current) return;
    started.current = true;
    void preview({});
  }, [fields, preview]);
  useLayoutEffect(() => {
    const field =
      form.current?.querySelector<HTMLElement>("input, textarea:not([aria-hidden]), button[role=combobox]") ?? null;
    firstField.current = field;
    field?.focus();
  }, [firstField]);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    setShown(true);
    if (busy !== null || fields.some((field) => complaintAbout(field, values[field.name] ?? null) !== null)) return;
    void preview(toInput(values));
  };

  if (stage.kind === "done") return <Result stage={stage} title={title} onClose={onClose} />;
  const previewed = stage.kind === "previewed";
  return (
    <>
      <div className={styles.body}>
        <form ref={form} onSubmit={submit} noValidate className={styles.form}>
          <SchemaForm
            fields={fields}
            values={values}
            complaints={complaints}
            disabled={busy !== null || (previewed && stage.lost)}
            onChange={(name, value) => {
              setValues((now) => ({ ...now, [name]: value }));
              if (stage.kind !== "form" || deed.problems.length > 0) reset();
            }}
          />
          {!previewed && (fields.length > 0 || deed.failure !== null || deed.problems.length > 0) && (
            <Button type="submit" view="action" size="l" loading={busy === "preview"} qa="preview">
              {t("actions.preview")}
            </Button>
          )}
        </form>
        {deed.problems.some(({ code }) => code === "SECOND_FACTOR") ? (
          <StepUp onProven={() => void preview(toInput(values))} />
        ) : (
          <Troubles deed={deed} fields={fields} />
        )}
        <div aria-live="polite">
          {busy === "preview" && <Skeleton className={styles.pending} />}
          {previewed && (
            <section className={styles.changes} aria-label={t("changes.title")}>
              <h3 className={styles.subtitle}>{t("changes.title")}</h3>
              {stage.changed && !stage.lost && (
                <Alert
                  theme="warning"
                  title={t("changes.changed.title")}
                  message={t("changes.changed.text")}
                  actions={
                    stage.seen ? undefined : (
                      <Button view="normal-contrast" onClick={deed.acknowledge} qa="seen">
                        {t("changes.changed.seen")}
                      </Button>
                    )
                  }
                />
              )}
              <Changes changes={stage.changes} />
            </section>
          )}
        </div>
      </div>
      {previewed && (
        <footer className={styles.footer}>
          <Button
            view={offer.risk === "high" ? "outlined-danger" : "action"}
            size="xl"
            width="max"
            loading={busy === "run"}
            disabled={stage.changes.length === 0 || !stage.seen}
            onClick={() => void deed.run()}
            qa="run"
          >
            {stage.lost ? t("actions.ask_again") : title}
          </Button>
        </footer>
      )}
    </>
  );
}

/** A code as the answer to an operation: a system that "does not know" may not know the group, not only the person. */
const refusalText = (i18n: I18n, code: string): string =>
  i18n.find(`error.operation.${code}`) ?? failureText(i18n, code);

type Complaints = Readonly<Record<string, Complaint | { text: string }>>;

function allComplaints(
  fields: readonly FormField[],
  values: FormValues,
  problems: readonly Problem[],
  shown: boolean,
  i18n: I18n,
): Complaints {
  const entries = fields.flatMap((field): [string, Complaint | { text: string }][] => {
    const own = shown ? complaintAbout(field, values[field.name] ?? null) : null;
    if (own !== null) return [[field.name, own]];
    const theirs = problems.find((problem) => problem.field === `input.${field.name}`);
    return theirs === undefined ? [] : [[field.name, { text: refusalText(i18n, theirs.code) }]];
  });
  return Object.fromEntries(entries);
}

/** What went wrong, apart from what is said at its field. */
function Troubles({ deed, fields }: { deed: Deed; fields: readonly FormField[] }) {
  const i18n = useI18n();
  const { t } = i18n;
  const { stage, failure } = deed;
  const general = deed.problems.filter((problem) => !fields.some((field) => problem.field === `input.${field.name}`));
  if (stage.kind === "previewed" && stage.lost && failure !== null) {
    return (
      <Alert
        theme="warning"
        title={t("actions.lost.title")}
        message={`${failureText(i18n, failure.code)} ${t("actions.lost.text")}`}
        qa="lost"
      />
    );
  }
  if (failure === null && general.length === 0) return null;
  const texts =
    failure === null ? general.map(({ code }) => refusalText(i18n, code)) : [failureText(i18n, failure.code)];
  const settled = failure === null && general.every(({ code }) => code === "NOTHING_TO_CHANGE");
  return (
    <div role="alert">
      <Alert
        theme={settled ? "info" : "danger"}
        title={t("actions.not_done")}
        message={[...new Set(texts)].join(" ")}
        qa="problems"
      />
    </div>
  );
}

const THEMES = { SUCCEEDED: "success", FAILED: "danger", UNKNOWN: "warning" } as const;

function Result({
  stage,
  title,
  onClose,
}: {
  stage: Extract<Deed["stage"], { kind: "done" }>;
  title: string;
  onClose(): void;
}) {
  const i18n = useI18n();
  const { t } = i18n;
  const causes = [...new Set(stage.problems.map(({ code }) => refusalText(i18n, code)))];
  return (
    <>
      <div className={styles.body} data-testid="result" data-outcome={stage.outcome}>
        <div role="status">
          <Alert
            theme={THEMES[stage.outcome]}
            title={t(`outcome.${stage.outcome}.title`, { title })}
            message={[...causes, t(`outcome.${stage.outcome}.text`)].join(" ")}
          />
        </div>
        {stage.outcome !== "FAILED" && stage.changes.length > 0 && (
          <section className={styles.changes} aria-label={t(`outcome.${stage.outcome}.changes`)}>
            <h3 className={styles.subtitle}>{t(`outcome.${stage.outcome}.changes`)}</h3>
            <Changes changes={stage.changes} />
          </section>
        )}
        {stage.record !== null && (
          <p>
            <a href={recordPath(stage.record)}>{t("outcome.record")}</a>
          </p>
        )}
      </div>
      <footer className={styles.footer}>
        <Button size="xl" width="max" onClick={onClose}>
          {t("common.close")}
        </Button>
      </footer>
    </>
  );
}
