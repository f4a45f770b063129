/** The fields of an operation's form. */
import { Checkbox, NumberInput, Select, TextArea, TextInput } from "@gravity-ui/uikit";
import { useId } from "react";

import { useI18n } from "../i18n";
import type { Complaint, FormField, FormValue, FormValues } from "./schema";
import styles from "./SchemaForm.module.css";

interface Props {
  fields: readonly FormField[];
  values: FormValues;
  /** What is wrong, by field; already in the reader's words where the server said it. */
  complaints: Readonly<Record<string, Complaint | { text: string }>>;
  disabled: boolean;
  onChange(name: string, value: FormValue): void;
}

export function SchemaForm({ fields, values, complaints, disabled, onChange }: Props) {
  return (
    <div className={styles.form}>
      {fields.map((field) => (
        <Field
          key={field.name}
          field={field}
          value={values[field.name] ?? null}
          complaint={complaints[field.name]}
          disabled={disabled}
          onChange={(value) => onChange(field.name, value)}
        />
      ))}
    </div>
  );
}

interface FieldProps {
  field: FormField;
  value: FormValue;
  complaint: Complaint | { text: string } | undefined;
  disabled: boolean;
  onChange(value: FormValue): void;
}

function Field({ field, value, complaint, disabled, onChange }: FieldProps) {
  const { t, pick } = useI18n();
  const id = useId();
  const title = pick(field.title);
  const error =
    complaint === undefined
      ? undefined
      : typeof complaint === "object"
        ? complaint.text
        : t(`form.${complaint}`, { min: field.minimum ?? field.minLength, max: field.maximum ?? field.maxLength ?? 0 });
  const note = pick(field.description);
  if (field.kind === "boolean") {
    return (
      <Checkbox checked={value === true} disabled={disabled} onUpdate={onChange} qa={`field-${field.name}`}>
        {title}
      </Checkbox>
    );
  }
  const shared = { id, size: "l", disabled, qa: `field-${field.name}` } as const;
  const invalid = error === undefined ? {} : ({ validationState: "invalid", errorMessage: error } as const);
  return (
    <div className={styles.field}>
      <label htmlFor={id} className={styles.label}>
        {title}
        {!field.required && <span className={styles.optional}>{t("form.optional")}</span>}
      </label>
      {field.kind === "text" && (
        <TextInput {...shared} {...invalid} value={String(value ?? "")} onUpdate={onChange} autoComplete={false} />
      )}
      {field.kind === "long-text" && (
        <TextArea {...shared} {...invalid} value={String(value ?? "")} onUpdate={onChange} minRows={2} maxRows={6} />
      )}
      {field.kind === "integer" && (
        <NumberInput
          {...shared}
          {...invalid}
          value={typeof value === "number" ? value : null}
          onUpdate={onChange}
          {...(field.minimum !== null && { min: field.minimum })}
          {...(field.maximum !== null && { max: field.maximum })}
        />
      )}
      {field.kind === "choice" && (
        <Select
          {...shared}
          {...invalid}
          width="max"
          filterable={field.choices.length > 8}
          hasClear={!field.required}
          placeholder={t("form.choose")}
          aria-label={title}
          value={typeof value === "string" ? [value] : []}
          onUpdate={([chosen]) => onChange(chosen ?? null)}
          options={field.choices.map((choice) => ({ value: choice.value, content: pick(choice.title) }))}
        />
      )}
      {note !== "" && <p className={styles.note}>{note}</p>}
    </div>
  );
}
