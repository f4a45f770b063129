/** One employee in one window: header, the team's widgets, ready-made actions. */
import { ArrowsRotateRight, Thunderbolt, Xmark } from "@gravity-ui/icons";
import { Button, Drawer, Icon, Skeleton } from "@gravity-ui/uikit";
import { useCallback, useContext, useEffect, useMemo, useRef, useState } from "react";
import { useQuery } from "urql";

import { failureOf, isNotThere } from "../api/failure";
import { readGate } from "../api/gate";
import { useKept } from "../api/kept";
import { useNow } from "../clock";
import { ActionsContext, type Offer } from "../dashboard/actions";
import { WidgetGrid } from "../dashboard/WidgetGrid";
import { EmployeeHeaderDocument, OperationsDocument } from "../generated/graphql";
import { useI18n } from "../i18n";
import { ActionList } from "../operations/ActionList";
import { ActionSheet } from "../operations/ActionSheet";
import { ChangesContext, useRefresh } from "../operations/changes";
import { DeniedFace, FailedFace, NotFoundFace } from "../shell/Faces";
import { useShortcuts } from "../shell/keyboard";
import { EmployeeHeader } from "./EmployeeHeader";
import styles from "./EmployeePage.module.css";
import { useChanges } from "./useChanges";

/** For so long a change is news where there is no room to tell of it for good. */
const YOUNG_MILLISECONDS = 10_000;
const PANEL = "(min-width: 1200px)";

export default function EmployeePage({ id }: { id: string }) {
  const changes = useChanges(id);
  return (
    <ChangesContext.Provider value={changes}>
      <Employee id={id} />
    </ChangesContext.Provider>
  );
}

function Employee({ id }: { id: string }) {
  const { t } = useI18n();
  const [{ data, error, fetching, extensions }, again] = useQuery({
    query: EmployeeHeaderDocument,
    variables: { employee: id },
    requestPolicy: "cache-and-network",
  });
  useRefresh(again);
  const employee = useKept(data?.employee);
  useEffect(() => {
    if (employee?.displayName) document.title = t("app.title", { page: employee.displayName });
  }, [employee?.displayName, t]);

  if (employee)
    return (
      <Card
        id={id}
        header={<EmployeeHeader employee={employee} gate={readGate(extensions)} />}
        name={employee.displayName ?? employee.login ?? ""}
      />
    );
  if (fetching || data === undefined) {
    if (error === undefined) return <Card id={id} header={<HeaderSkeleton />} name="" />;
    if (!isNotThere(error)) {
      return (
        <FailedFace
          title={t("employee.failed.title")}
          text={t("employee.failed.text")}
          failure={failureOf(error)}
          onRetry={() => again({ requestPolicy: "network-only" })}
        />
      );
    }
  }
  const denial = readGate(extensions).denialOf("employee");
  if (denial !== null) return <DeniedFace title={t("employee.denied")} denial={denial} />;
  if (error !== undefined && !isNotThere(error)) {
    return (
      <FailedFace
        title={t("employee.failed.title")}
        text={t("employee.failed.text")}
        failure={failureOf(error)}
        onRetry={() => again({ requestPolicy: "network-only" })}
      />
    );
  }
  return <NotFoundFace title={t("employee.not_found.title")} text={t("employee.not_found.text")} />;
}

interface DrawerState {
  open: boolean;
  /** The action whose sheet is in the drawer; null for the list of all. */
  offer: Offer | null;
  fromList: boolean;
  /** Of the sheets opened so far: each begins anew. */
  count: number;
}

const CLOSED: DrawerState = { open: false, offer: null, fromList: false, count: 0 };

function Card({ id, header, name }: { id: string; header: React.ReactNode; name: string }) {
  const { t } = useI18n();
  const [{ data, error, fetching }, again] = useQuery({ query: OperationsDocument, variables: { employee: id } });
  useRefresh(again);
  const offers = useMemo(() => data?.operations ?? [], [data]);
  const [drawer, setDrawer] = useState<DrawerState>(CLOSED);
  const firstField = useRef<HTMLElement | null>(null);
  const panelFilter = useRef<HTMLInputElement>(null);
  const choose = useCallback(
    (offer: Offer) => setDrawer((now) => ({ open: true, offer, fromList: now.open, count: now.count + 1 })),
    [],
  );
  const openList = () => setDrawer((now) => ({ ...now, open: true, offer: null, fromList: false }));
  // What is in the drawer stays there while it slides out.
  const close = () => setDrawer((now) => ({ ...now, open: false }));
  const { offer: chosen } = drawer;
  const actions = useMemo(() => ({ offers, open: choose }), [offers, choose]);

  useShortcuts({
    a: () => {
      if (window.matchMedia(PANEL).matches) panelFilter.current?.focus();
      else openList();
    },
  });
  const drawerFilter = useCallback((input: HTMLInputElement | null) => {
    firstField.current = input;
  }, []);
  const list = (filter: React.Ref<HTMLInputElement>) => (
    <ActionList
      offers={offers}
      fetching={fetching}
      failure={error && !data?.operations ? failureOf(error) : null}
      filter={filter}
      onChoose={choose}
      onRetry={() => again({ requestPolicy: "network-only" })}
    />
  );

  return (
    <ActionsContext.Provider value={actions}>
      <div className={styles.page}>
        <div className={styles.head}>
          {header}
          <Button className={styles.open} size="l" view="action" onClick={openList} data-testid="open-actions">
            <Icon data={Thunderbolt} size={16} />
            {t("actions.title")}
          </Button>
          <ChangedNote />
        </div>
        <div className={styles.main}>
          <WidgetGrid slot="employee-card" employee={id} />
        </div>
        <aside className={styles.panel} aria-label={t("actions.title")}>
          {list(panelFilter)}
        </aside>
      </div>
      <Drawer
        open={drawer.open}
        placement="right"
        size={chosen === null ? 360 : 520}
        maxSize={800}
        disableOutsideClick={chosen !== null}
        aria-label={t("actions.title")}
        initialFocus={firstField}
        contentClassName={styles.drawer}
        onOpenChange={(open) => !open && close()}
      >
        {chosen === null ? (
          <div className={styles.sheet}>
            {list(drawerFilter)}
            <Button
              className={styles.close}
              view="flat"
              onClick={close}
              aria-label={t("common.close")}
              title={t("common.close")}
            >
              <Icon data={Xmark} size={16} />
            </Button>
          </div>
        ) : (
          <ActionSheet
            key={drawer.count}
            offer={chosen}
            employee={id}
            name={name}
            firstField={firstField}
            onBack={drawer.fromList ? openList : null}
            onClose={close}
          />
        )}
      </Drawer>
    </ActionsContext.Provider>
  );
}

/** In a place of its own, over nothing: it comes while one reads, and nothing may move. */
function ChangedNote() {
  const { t, format } = useI18n();
  const { changedAt } = useContext(ChangesContext);
  const now = useNow();
  const at = changedAt === null ? now : Date.parse(changedAt);
  return (
    <p className={styles.changed} role="status">
      {changedAt !== null && (
        <span
          className={styles.changedText}
          title={format.exact(changedAt)}
          data-young={now - at < YOUNG_MILLISECONDS}
          data-testid="changed"
        >
          <Icon data={ArrowsRotateRight} size={12} />
          {t("employee.changed", { ago: format.relative(changedAt, Math.max(now, at)) })}
        </span>
      )}
    </p>
  );
}

function HeaderSkeleton() {
  const { t } = useI18n();
  return (
    <div className={styles.skeleton} role="status" aria-label={t("common.loading")}>
      <Skeleton style={{ width: 56, height: 56, borderRadius: 28 }} />
      <div className={styles.skeletonLines}>
        <Skeleton style={{ height: 24, width: 260 }} />
        <Skeleton style={{ height: 14, width: 380, maxWidth: "100%" }} />
        <Skeleton style={{ height: 14, width: 320, maxWidth: "100%" }} />
      </div>
    </div>
  );
}
