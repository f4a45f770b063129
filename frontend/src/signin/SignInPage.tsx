/** Signing in: with the company's account, or, in development, as one of the demo people. */
import { Magnifier } from "@gravity-ui/icons";
import { Button, Checkbox, Icon, Skeleton, TextInput } from "@gravity-ui/uikit";
import { useEffect, useMemo, useState } from "react";

import {
  AuthError,
  type DemoPerson,
  forgetSignInError,
  listDemoPeople,
  oidcStart,
  signInAsDemoPerson,
  signInError,
} from "../api/session";
import { failureText } from "../api/failure";
import { useI18n } from "../i18n";
import { LanguageChoice, ThemeChoice } from "../shell/Choices";
import { FailedFace } from "../shell/Faces";
import { Logo } from "../shell/Logo";
import { useSession } from "../shell/session";
import { groupByTeam } from "./people";
import styles from "./SignInPage.module.css";

/** `again`: a session ended; what one was doing waits behind this page. */
export default function SignInPage({ again = false }: { again?: boolean }) {
  const i18n = useI18n();
  const { t } = i18n;
  const { session } = useSession();
  const [refused] = useState(signInError);
  useEffect(forgetSignInError, []);
  const methods = session?.methods ?? [];
  useEffect(() => {
    if (!again) document.title = t("app.title", { page: t("sign_in.title") });
  }, [again, t]);

  return (
    <main className={styles.page} data-testid="sign-in">
      <div className={styles.choices}>
        <LanguageChoice />
        <ThemeChoice />
      </div>
      <section className={styles.card} aria-labelledby="sign-in-title">
        <header className={styles.header}>
          <Logo size={40} />
          <h1 id="sign-in-title">{again ? t("sign_in.again.title") : t("sign_in.title")}</h1>
          <p>{again ? t("sign_in.again.text") : t("sign_in.text")}</p>
        </header>
        {refused !== null && !again && (
          <p className={styles.refused} role="alert">
            {failureText(i18n, refused)}
          </p>
        )}
        {methods.includes("oidc") && (
          <Button
            view="action"
            size="l"
            width="max"
            href={oidcStart(refused === null ? window.location.pathname + window.location.search : "/")}
          >
            {t("sign_in.oidc")}
          </Button>
        )}
        {methods.includes("development") && <DemoPeople />}
        {methods.length === 0 && <p role="alert">{t("sign_in.no_methods")}</p>}
      </section>
    </main>
  );
}

function DemoPeople() {
  const i18n = useI18n();
  const { t, pick } = i18n;
  const { signedIn } = useSession();
  const [people, setPeople] = useState<readonly DemoPerson[] | null>(null);
  const [unlisted, setUnlisted] = useState(false);
  const [typed, setTyped] = useState("");
  const [secondFactor, setSecondFactor] = useState(false);
  const [busy, setBusy] = useState<string | null>(null);
  const [refused, setRefused] = useState<string | null>(null);
  const [attempt, setAttempt] = useState(0);

  useEffect(() => {
    let current = true;
    listDemoPeople().then(
      (list) => current && setPeople(list),
      () => current && setUnlisted(true),
    );
    return () => {
      current = false;
    };
  }, [attempt]);

  const groups = useMemo(() => groupByTeam(people ?? [], typed, pick), [people, typed, pick]);
  const enter = (login: string) => {
    setBusy(login);
    setRefused(null);
    signInAsDemoPerson(login, secondFactor)
      .then(signedIn, (error: unknown) => setRefused(error instanceof AuthError ? error.code : "INTERNAL"))
      .finally(() => setBusy(null));
  };

  if (unlisted) {
    return (
      <FailedFace
        title={t("sign_in.unlisted.title")}
        text={t("sign_in.unlisted.text")}
        onRetry={() => {
          setUnlisted(false);
          setAttempt(attempt + 1);
        }}
      />
    );
  }
  return (
    <div className={styles.demo}>
      <p className={styles.note}>{t("sign_in.development")}</p>
      <TextInput
        size="l"
        value={typed}
        onUpdate={setTyped}
        hasClear
        autoFocus
        autoComplete={false}
        placeholder={t("sign_in.search")}
        startContent={
          <span className={styles.magnifier}>
            <Icon data={Magnifier} size={16} />
          </span>
        }
        controlProps={{ "aria-label": t("sign_in.search") }}
        onKeyDown={(event) => {
          const only = groups[0]?.people[0];
          if (event.key === "Enter" && only !== undefined && typed.trim() !== "") enter(only.login);
        }}
        qa="sign-in-search"
      />
      <Checkbox checked={secondFactor} onUpdate={setSecondFactor} qa="sign-in-second-factor">
        {t("sign_in.second_factor")}
      </Checkbox>
      {refused !== null && (
        <p className={styles.refused} role="alert">
          {failureText(i18n, refused)}
        </p>
      )}
      <div className={styles.groups} aria-busy={people === null}>
        {people === null && Array.from({ length: 5 }, (_, index) => <Skeleton key={index} style={{ height: 44 }} />)}
        {groups.map((group) => (
          <section key={group.id} aria-label={group.title}>
            <h2 className={styles.team}>{group.title}</h2>
            <ul>
              {group.people.map((person) => (
                <li key={person.login}>
                  <button
                    type="button"
                    className={styles.person}
                    disabled={busy !== null}
                    aria-busy={busy === person.login}
                    onClick={() => enter(person.login)}
                    data-testid={`sign-in-as-${person.login}`}
                  >
                    <span className={styles.name}>{person.displayName}</span>
                    <span className={styles.login}>{person.login}</span>
                    <span className={styles.roles}>{person.roles.join(", ")}</span>
                  </button>
                </li>
              ))}
            </ul>
          </section>
        ))}
        {people !== null && groups.length === 0 && (
          <p className={styles.note}>{t("sign_in.nobody", { text: typed.trim() })}</p>
        )}
      </div>
    </div>
  );
}
