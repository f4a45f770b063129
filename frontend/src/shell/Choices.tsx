/** Language and theme, wherever they are offered. */
import { Display, Moon, Sun } from "@gravity-ui/icons";
import { Icon, SegmentedRadioGroup, Select } from "@gravity-ui/uikit";

import { useI18n } from "../i18n";
import { LANGUAGES } from "../i18n/messages";
import styles from "./TopBar.module.css";
import { type ThemeName, THEMES, useTheme } from "./theme";

const THEME_ICONS = { light: Sun, dark: Moon, system: Display } as const;

export function LanguageChoice() {
  const { language, t, format, setLanguage } = useI18n();
  return (
    <Select
      size="m"
      view="clear"
      label=""
      aria-label={t("shell.language")}
      qa="language"
      value={[language]}
      onUpdate={([chosen]) => chosen !== undefined && setLanguage(chosen)}
      options={LANGUAGES.map((code) => ({ value: code, content: format.language(code) }))}
    />
  );
}

export function ThemeChoice() {
  const { t } = useI18n();
  const { theme, setTheme } = useTheme();
  return (
    <SegmentedRadioGroup<ThemeName> size="m" value={theme} onUpdate={setTheme} aria-label={t("shell.theme")}>
      {THEMES.map((name) => (
        <SegmentedRadioGroup.Option key={name} value={name} title={t(`theme.${name}`)}>
          <span className={styles.theme}>
            <Icon data={THEME_ICONS[name]} size={16} />
            <span className="okno-visually-hidden">{t(`theme.${name}`)}</span>
          </span>
        </SegmentedRadioGroup.Option>
      ))}
    </SegmentedRadioGroup>
  );
}
