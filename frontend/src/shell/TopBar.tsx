/** The top bar: palette, team, language, theme, who I am. */
import { ArrowRightFromSquare, Keyboard, Magnifier, Person } from "@gravity-ui/icons";
import { Button, Hotkey, Icon, Popup } from "@gravity-ui/uikit";
import { useState } from "react";

import { useI18n } from "../i18n";
import { LanguageChoice, ThemeChoice } from "./Choices";
import { useMe } from "./me";
import { useSession } from "./session";
import styles from "./TopBar.module.css";

export function TopBar({ onPalette, onKeys }: { onPalette(): void; onKeys(): void }) {
  const { t, pick, format } = useI18n();
  const me = useMe();
  const team = format.list(me.teams.map(({ title }) => pick(title)));
  return (
    <header className={styles.bar}>
      <button type="button" className={styles.palette} onClick={onPalette} data-testid="palette-button">
        <Icon data={Magnifier} size={16} />
        <span className={styles.hint}>{t("palette.open")}</span>
        <Hotkey value="mod+k" className={styles.key} />
      </button>
      <span className={styles.gap} />
      {team !== "" && (
        <span className={styles.team} title={t("shell.team", { team })} data-testid="team">
          {team}
        </span>
      )}
      <span className={styles.wide}>
        <LanguageChoice />
        <ThemeChoice />
      </span>
      <UserMenu onKeys={onKeys} team={team} />
    </header>
  );
}

function UserMenu({ onKeys, team }: { onKeys(): void; team: string }) {
  const { t } = useI18n();
  const me = useMe();
  const { signOut } = useSession();
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
      <Popup anchorElement={anchor} open={open} onOpenChange={setOpen} placement="bottom-end" role="dialog" aria-label={me.displayName}>
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
              data-testid="sign-out"
              onClick={() => {
                setFailed(false);
                signOut().catch(() => setFailed(true));
              }}
            >
              <Icon data={ArrowRightFromSquare} size={16} />
              {t("shell.sign_out")}
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
