/** The frame of every page: rail, top bar, palette, list of keys; and which page is shown where. */
import { Skeleton } from "@gravity-ui/uikit";
import { type ComponentType, lazy, type ReactNode, Suspense, useEffect, useState } from "react";
import { Route, Switch, useLocation } from "wouter";

import { useI18n } from "../i18n";
import SearchPage from "../people/SearchPage";
import { ErrorBoundary } from "./ErrorBoundary";
import { BrokenFace, DeniedFace, NotFoundFace } from "./Faces";
import { useShortcuts } from "./keyboard";
import { useLinkNavigation } from "./links";
import { useMay, useMe } from "./me";
import { isCurrent, PAGES } from "./pages";
import { Rail } from "./Rail";
import styles from "./Shell.module.css";
import { TopBar } from "./TopBar";

const EmployeePage = lazy(() => import("../people/EmployeePage"));
const JournalPage = lazy(() => import("../journal/JournalPage"));
const RecordPage = lazy(() => import("../journal/RecordPage"));
const HistoryPage = lazy(() => import("../journal/HistoryPage"));
const SourcesPage = lazy(() => import("../sources/SourcesPage"));
const SchemaPage = lazy(() => import("../schema/SchemaPage"));
const Palette = lazy(() => import("./Palette"));
const KeysDialog = lazy(() => import("./KeysDialog"));

export function Shell() {
  const { t } = useI18n();
  const me = useMe();
  const [location, navigate] = useLocation();
  const [open, setOpen] = useState<"palette" | "keys" | null>(null);
  const pages = PAGES.filter((page) => me.permissions.includes(page.permission));
  const current = pages.find((page) => isCurrent(page, location));
  useLinkNavigation();
  useShortcuts({
    "mod+k": () => setOpen((now) => (now === "palette" ? null : "palette")),
    "?": () => setOpen("keys"),
    "/": () => {
      navigate("/people");
      // The page may be about to appear: it focuses its field when it does.
      document.querySelector<HTMLInputElement>("[data-search-field] input")?.focus();
    },
  });
  useEffect(() => {
    document.title = current === undefined ? t("app.name") : t("app.title", { page: t(current.title) });
  }, [current, t]);
  useEffect(() => {
    // The card is where one goes next; the sign-in must be here when the session ends, whatever the server serves then.
    void import("../people/EmployeePage");
    void import("../signin/SignInPage");
  }, []);

  return (
    <div className={styles.shell}>
      <a className={styles.skip} href="#content" onClick={focusContent}>
        {t("shell.skip")}
      </a>
      <Rail pages={pages} location={location} />
      <TopBar onPalette={() => setOpen("palette")} onKeys={() => setOpen("keys")} />
      <main className={styles.content} id="content" tabIndex={-1}>
        <ErrorBoundary key={location} fallback={(retry) => <BrokenFace onRetry={retry} />}>
          <Suspense fallback={<PageSkeleton />}>
            <Switch>
              <Route path="/">{() => <Guarded permission="people.search" page={SearchPage} />}</Route>
              <Route path="/people">{() => <Guarded permission="people.search" page={SearchPage} />}</Route>
              <Route path="/people/:id">{({ id }) => <EmployeePage key={id} id={decodeURIComponent(id)} />}</Route>
              <Route path="/journal/:id?">{({ id }) => <Journal id={id} />}</Route>
              <Route path="/history">{() => <HistoryPage />}</Route>
              <Route path="/sources">{() => <Guarded permission="sources.read" page={SourcesPage} />}</Route>
              <Route path="/schema">{() => <Guarded permission="schema.usage" page={SchemaPage} />}</Route>
              <Route>{() => <NotFoundFace />}</Route>
            </Switch>
          </Suspense>
        </ErrorBoundary>
      </main>
      <Suspense fallback={null}>
        {open === "palette" && <Palette pages={pages} onClose={() => setOpen(null)} />}
        {open === "keys" && <KeysDialog onClose={() => setOpen(null)} />}
      </Suspense>
    </div>
  );
}

function focusContent(event: { preventDefault(): void }) {
  event.preventDefault();
  document.getElementById("content")?.focus();
}

function Guarded({ permission, page: Page }: { permission: string; page: ComponentType }): ReactNode {
  return useMay(permission) ? <Page /> : <DeniedFace />;
}

/** The list is for those who may read all of it; a record of one's own action is for everybody. */
function Journal({ id }: { id: string | undefined }): ReactNode {
  const all = useMay("audit.read");
  if (all) return <JournalPage />;
  return id === undefined ? <DeniedFace /> : <RecordPage id={decodeURIComponent(id)} />;
}

export function PageSkeleton() {
  const { t } = useI18n();
  return (
    <div className={styles.skeleton} aria-busy="true" aria-label={t("common.loading")}>
      <Skeleton style={{ height: 36, width: "40%" }} />
      <Skeleton style={{ height: 240 }} />
    </div>
  );
}
