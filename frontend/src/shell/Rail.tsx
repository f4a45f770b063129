/** The left rail: only the pages one may enter. Labels where there is room; at the bottom on a phone. */
import { Icon } from "@gravity-ui/uikit";

import { useI18n } from "../i18n";
import { Logo } from "./Logo";
import { isCurrent, type Page } from "./pages";
import styles from "./Rail.module.css";

export function Rail({ pages, location }: { pages: readonly Page[]; location: string }) {
  const { t } = useI18n();
  return (
    <nav className={styles.rail} aria-label={t("shell.pages")}>
      <a className={styles.home} href="/" aria-label={t("shell.home")}>
        <Logo />
        <span className={styles.name}>{t("app.name")}</span>
      </a>
      <ul className={styles.list}>
        {pages.map((page, index) => (
          <li key={page.id}>
            {page.group !== undefined && page.group !== pages[index - 1]?.group && (
              <span className={styles.group}>{t(page.group)}</span>
            )}
            <a
              className={styles.link}
              href={page.path}
              title={t(page.title)}
              aria-current={isCurrent(page, location) ? "page" : undefined}
            >
              <Icon data={page.icon} size={18} />
              <span className={styles.label}>{t(page.title)}</span>
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}
