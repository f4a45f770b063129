/** Stock view `table`: rows of a list, sortable, columns as the manifest names them. */
import { Table, useTable } from "@gravity-ui/table";
import type { ColumnDef } from "@gravity-ui/table/tanstack";
import { useMemo } from "react";

import type { WidgetProps } from "../dashboard/custom";
import { type FieldSpec, type Manifest, valueAt } from "../dashboard/manifest";
import { useI18n } from "../i18n";
import { Face } from "../shell/Faces";
import { Locked } from "./Locked";
import { Masked } from "./Masked";
import styles from "./TableView.module.css";
import { Value } from "./Value";

function sortable(value: unknown): string | number {
  if (typeof value === "number") return value;
  return typeof value === "string" ? value : value == null ? "" : JSON.stringify(value);
}

export default function TableView({ manifest, data, gate }: WidgetProps) {
  const { t, pick, language } = useI18n();
  const path = manifest.rows ?? "";
  const rows = useMemo(() => {
    const value = valueAt(data, path);
    return Array.isArray(value) ? (value as unknown[]) : [];
  }, [data, path]);

  const columns = useMemo<ColumnDef<unknown>[]>(() => {
    const collator = new Intl.Collator(language, { numeric: true });
    return manifest.columns.map((column) => {
      const place = columnPath(manifest, column);
      const denial = gate.denialOf(place);
      return {
        id: column.path,
        header: pick(column.label),
        accessorFn: (row) => sortable(valueAt(row, column.path)),
        sortingFn: (a, b, id) => collator.compare(String(a.getValue(id)), String(b.getValue(id))),
        enableSorting: denial === null,
        cell: ({ row }) => {
          if (denial !== null) return <Locked denial={denial} />;
          const value = valueAt(row.original, column.path);
          const mask = gate.maskOf(place, value);
          return mask === null ? <Value value={value} field={column} /> : <Masked value={value} mask={mask} />;
        },
      };
    });
  }, [manifest, gate, pick, language]);
  const table = useTable({ columns, data: rows, enableSorting: true });

  if (rows.length === 0)
    return <Face title={t("widget.no_rows.title")} text={t("widget.no_rows.text")} testId="empty" />;
  return (
    // A region that scrolls must be reachable by keys.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className={styles.scroll} tabIndex={0} role="region" aria-label={pick(manifest.title)}>
      <Table table={table} size="s" className={styles.table} />
    </div>
  );
}

const columnPath = (manifest: Manifest, column: FieldSpec): string => `${manifest.rows}[].${column.path}`;
