/**
 * Tells the event of one's own deed from those of others. An event says that an employee was changed, not by whom; each
 * deed of this page that succeeded is one such event, which may come before the answer to the deed.
 */
const LATEST_ECHO_MILLISECONDS = 5_000;

/** How a deed ended; `lost` when its answer was, so that it may be done and nothing here shows it. */
export type Ending = "succeeded" | "failed" | "lost";

export class Echoes {
  private running = 0;
  /** Events that came while a deed was under way: its echo, or somebody else's change. */
  private held = 0;
  private expected: { at: number; ending: Ending }[] = [];

  /** @param changed called for each event after which what is shown may be old; by others or by oneself. */
  constructor(
    private readonly changed: (byOthers: boolean) => void,
    private readonly now: () => number = Date.now,
  ) {}

  begin(): void {
    this.running += 1;
  }

  end(ending: Ending): void {
    this.running -= 1;
    if (ending !== "failed") {
      this.expected.push({ at: this.now(), ending });
      if (this.held > 0) {
        this.held -= 1;
        this.take();
      }
    }
    if (this.running === 0) {
      const others = this.held;
      this.held = 0;
      for (let index = 0; index < others; index++) this.changed(true);
    }
  }

  event(): void {
    if (this.running > 0) this.held += 1;
    else this.take();
  }

  /** What a deed that was answered changed is read with its answer. */
  private take(): void {
    const oldest = this.now() - LATEST_ECHO_MILLISECONDS;
    this.expected = this.expected.filter(({ at }) => at >= oldest);
    const own = this.expected.shift();
    if (own?.ending !== "succeeded") this.changed(own === undefined);
  }
}
