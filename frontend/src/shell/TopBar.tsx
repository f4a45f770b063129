/** The top bar: palette, team, language, theme, who I am. */
import { ArrowRightFromSquare, Code, Eye, Keyboard, Magnifier, Person } from "@gravity-ui/icons";
import { Button, Hotkey, Icon, Popup, Select } from "@gravity-ui/uikit";
import { useState } from "react";

import { useI18n } from "../i18n";
import { LanguageChoice, ThemeChoice } from "./Choices";
import { useMay, useMe } from "./me";
import { useSession } from "./session";
import styles from "./TopBar.module.css";

export function TopBar({ onPalette, onKeys }: { onPalette(): void; onKeys(): void }) {
  const { t, pick, format } = useI18n();
  const me = useMe();
  const { session } = useSession();
  const teams = session?.teams ?? [];
  const current = teams.filter(({ id }) => id === session?.team);
  const team = format.list((current.length > 0 ? current : me.teams).map(({ title }) => pick(title)));
  return (
    <header className={styles.bar}>
      <button type="button" className={styles.palette} onClick={onPalette} data-testid="palette-button">
        <Icon data={Magnifier} size={16} />
        <span className={styles.hint}>{t("palette.open")}</span>
        <Hotkey value="mod+k" className={styles.key} />
      </button>
      <span className={styles.gap} />
      {teams.length > 1 ? <TeamChoice /> : <TeamName team={team} />}
      <span className={styles.wide}>
        <LanguageChoice />
        <ThemeChoice />
      </span>
      <UserMenu onKeys={onKeys} team={team} />
    </header>
  );
}

function TeamName({ team }: { team: string }) {
  const { t } = useI18n();
  if (team === "") return null;
  return (
    <span className={styles.team} title={t("shell.team", { team })} data-testid="team">
      {team}
    </span>
  );
}

/** The team one acts for. Another team means other rights: the page is drawn anew. */
function TeamChoice() {
  const { t, pick } = useI18n();
  const { session, switchTeam } = useSession();
  const [failed, setFailed] = useState(false);
  return (
    <Select
      view="clear"
      qa="team"
      aria-label={t("shell.choose_team")}
      value={session?.team ? [session.team] : []}
      options={(session?.teams ?? []).map(({ id, title }) => ({ value: id, content: pick(title) || id }))}
      onUpdate={([chosen]) => {
        if (chosen === undefined || chosen === session?.team) return;
        setFailed(false);
        switchTeam(chosen).catch(() => setFailed(true));
      }}
      {...(failed && { validationState: "invalid", errorMessage: t("shell.choose_team_failed") })}
    />
  );
}

function UserMenu({ onKeys, team }: { onKeys(): void; team: string }) {
  const { t } = useI18n();
  const me = useMe();
  const { signOut } = useSession();
  const mayExplore = useMay("graphiql.use");
  const [anchor, setAnchor] = useState<HTMLButtonElement | null>(null);
  const [open, setOpen] = useState(false);
  const [failed, setFailed] = useState(false);
  return (
    <>
      <Button
        ref={setAnchor}
        view="flat"
        size="m"
        aria-haspopup="dialog"
        aria-expanded={open}
        aria-label={t("shell.who", { name: me.displayName })}
        onClick={() => setOpen(!open)}
        data-testid="user-menu"
      >
        <Icon data={Person} size={16} />
        <span className={styles.who}>{me.displayName}</span>
      </Button>
      <Popup
        anchorElement={anchor}
        open={open}
        onOpenChange={setOpen}
        placement="bottom-end"
        role="dialog"
        aria-label={me.displayName}
      >
        <div className={styles.menu}>
          <div>
            <div className={styles.name}>{me.displayName}</div>
            <div className={styles.secondary}>{me.login}</div>
            {team !== "" && <div className={styles.secondary}>{team}</div>}
          </div>
          <div className={styles.narrow}>
            <LanguageChoice />
            <ThemeChoice />
          </div>
          <div className={styles.entries}>
            <Button
              view="flat"
              width="max"
              onClick={() => {
                setOpen(false);
                onKeys();
              }}
            >
              <Icon data={Keyboard} size={16} />
              {t("keys.title")}
            </Button>
            <Button
              view="flat"
              width="max"
              href="/history"
              onClick={() => setOpen(false)}
              data-testid="who-looked-at-me"
            >
              <Icon data={Eye} size={16} />
              {t("history.title")}
            </Button>
            {mayExplore && (
              <Button view="flat" width="max" href="/graphql" data-testid="graphiql">
                <Icon data={Code} size={16} />
                {t("shell.graphiql")}
              </Button>
            )}
            <Button
              view="flat"
              width="max"
              data-testid="sign-out"
              onClick={() => {
                setFailed(false);
                signOut().catch(() => setFailed(true));
              }}
            >
              <Icon data={ArrowRightFromSquare} size={16} />
              {t("shell.sign_out")}
            </Button>
            <Button
              view="flat"
              width="max"
              data-testid="sign-out-everywhere"
              onClick={() => {
                setFailed(false);
                signOut(true).catch(() => setFailed(true));
              }}
            >
              <Icon data={ArrowRightFromSquare} size={16} />
              {t("shell.sign_out_everywhere")}
            </Button>
          </div>
          {failed && (
            <p role="alert" className={styles.failed}>
              {t("shell.sign_out_failed")}
            </p>
          )}
        </div>
      </Popup>
    </>
  );
}
