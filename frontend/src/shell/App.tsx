/** From nothing to the signed-in shell: session, then who one is, then the pages. */
import { Button } from "@gravity-ui/uikit";
import { lazy, type ReactNode, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { Provider, useQuery } from "urql";

import { createClient } from "../api/client";
import { failureOf } from "../api/failure";
import { useKept } from "../api/kept";
import { Live } from "../api/live";
import { LiveContext } from "../api/useLive";
import { MeDocument } from "../generated/graphql";
import { useI18n } from "../i18n";
import styles from "./App.module.css";
import { ErrorBoundary } from "./ErrorBoundary";
import { BrokenFace, FailedFace, FullPage } from "./Faces";
import { MeContext } from "./me";
import { OutdatedBar } from "./OutdatedBar";
import { SessionProvider, useSession } from "./session";
import { Shell } from "./Shell";

const SignInPage = lazy(() => import("../signin/SignInPage"));

export function App() {
  return (
    <ErrorBoundary
      fallback={(retry) => (
        <FullPage>
          <BrokenFace onRetry={retry} />
        </FullPage>
      )}
    >
      <SessionProvider>
        <Gate />
      </SessionProvider>
      <OutdatedBar />
    </ErrorBoundary>
  );
}

function Gate() {
  const { session, unreachable, expired, generation, retry } = useSession();
  const { t } = useI18n();
  if (session === null) {
    if (!unreachable) return <FullPage busy label={t("common.loading")} />;
    return (
      <FullPage>
        <FailedFace title={t("session.unreachable.title")} text={t("session.unreachable.text")} onRetry={retry} />
      </FullPage>
    );
  }
  if (!session.signedIn && !expired) {
    return (
      <Suspense fallback={<FullPage busy label={t("common.loading")} />}>
        <SignInPage />
      </Suspense>
    );
  }
  return (
    <>
      <Kept inert={expired}>
        <SignedIn key={generation} />
      </Kept>
      {expired && (
        <Suspense fallback={null}>
          <div className={styles.overlay}>
            <SignInPage again />
          </div>
        </Suspense>
      )}
    </>
  );
}

/** The page under the sign-in of an ended session: there, as it was, but out of reach. */
function Kept({ inert, children }: { inert: boolean; children: ReactNode }) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    element.current?.toggleAttribute("inert", inert);
  }, [inert]);
  return (
    <div ref={element} className={styles.kept}>
      {children}
    </div>
  );
}

function SignedIn() {
  const { renew } = useSession();
  const [live] = useState(() => new Live());
  const client = useMemo(() => createClient(renew, live), [renew, live]);
  useEffect(() => () => live.close(), [live]);
  return (
    <Provider value={client}>
      <LiveContext.Provider value={live}>
        <WithMe />
      </LiveContext.Provider>
    </Provider>
  );
}

function WithMe() {
  const { t } = useI18n();
  const { signOut } = useSession();
  const [{ data, error, fetching }, again] = useQuery({ query: MeDocument });
  const me = useKept(data?.me);
  if (me !== null) {
    return (
      <MeContext.Provider value={me}>
        <Shell />
      </MeContext.Provider>
    );
  }
  if (fetching) return <FullPage busy label={t("common.loading")} />;
  return (
    <FullPage>
      <FailedFace
        title={t("session.nobody.title")}
        text={t("session.nobody.text")}
        failure={error ? failureOf(error) : undefined}
        onRetry={() => again({ requestPolicy: "network-only" })}
        more={
          <Button view="flat" onClick={() => void signOut()}>
            {t("shell.sign_out")}
          </Button>
        }
      />
    </FullPage>
  );
}
