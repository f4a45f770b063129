/** What is refused only because no second factor was proven just before: says so, and leads to proving one. */
import { Alert, Button } from "@gravity-ui/uikit";
import { useState } from "react";

import { failureText } from "../api/failure";
import { AuthError, oidcStart, signInAsDemoPerson } from "../api/session";
import { useI18n } from "../i18n";
import { useSession } from "../shell/session";

interface ProveProps {
  size?: "s" | "m";
  /** Where one stays on the page; a provider sends one back to it. */
  onProven(): void;
  onRefused?(code: string): void;
}

export function ProveButton({ size = "m", onProven, onRefused }: ProveProps) {
  const { t } = useI18n();
  const { session, signedIn } = useSession();
  const [busy, setBusy] = useState(false);
  const view = size === "m" ? "action" : "outlined";
  if (session?.methods.includes("oidc") ?? false) {
    const place = window.location.pathname + window.location.search;
    return (
      <Button view={view} size={size} href={oidcStart(place, true)} qa="step-up">
        {t("step_up.confirm")}
      </Button>
    );
  }
  const prove = () => {
    const login = session?.login ?? null;
    if (login === null) return;
    setBusy(true);
    signInAsDemoPerson(login, true)
      .then((next) => {
        signedIn(next);
        onProven();
      })
      .catch((error: unknown) => onRefused?.(error instanceof AuthError ? error.code : "INTERNAL"))
      .finally(() => setBusy(false));
  };
  return (
    <Button view={view} size={size} loading={busy} onClick={prove} qa="step-up">
      {t("step_up.confirm")}
    </Button>
  );
}

export function StepUp({ onProven }: { onProven(): void }) {
  const i18n = useI18n();
  const { t } = i18n;
  const [refused, setRefused] = useState<string | null>(null);
  return (
    <div role="alert">
      <Alert
        theme="info"
        title={t("step_up.title")}
        message={refused === null ? t("step_up.text") : failureText(i18n, refused)}
        actions={<ProveButton onProven={onProven} onRefused={setRefused} />}
        qa="step-up-wanted"
      />
    </div>
  );
}
