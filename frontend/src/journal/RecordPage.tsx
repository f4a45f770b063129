/** One record without the list: for those who may read the records of their own actions only. */
import styles from "./RecordPage.module.css";
import { RecordSheet } from "./RecordSheet";

export default function RecordPage({ id }: { id: string }) {
  return (
    <div className={styles.page}>
      <div className={styles.record}>
        <RecordSheet id={id} />
      </div>
    </div>
  );
}
