/**
 * One JSON line per request, built as a string and written in batches (ruling 26): a logger call per hit would cost
 * half the throughput. Lines that cannot be written fast enough are dropped and counted, never queued without end.
 */
import type { Clock } from '../lib/clock.ts';

export type AccessMode = 'all' | 'misses' | 'off';

export interface AccessFacts {
  readonly id: string;
  readonly method: string;
  /** JSON fields of what was asked, from `fieldsOf`. */
  readonly fields: string;
  readonly source: string;
  readonly status: number;
  readonly bytes: number;
  readonly firstByteMs: number;
  readonly totalMs: number;
  /** The client went away, or the transfer was broken on purpose. */
  readonly aborted?: boolean;
}

const flushEveryMs = 200;
const flushAtBytes = 64 * 1024;
const maxPendingBytes = 4 * 1024 * 1024;

export class AccessLog {
  /** May be changed while running. */
  mode: AccessMode;
  readonly #clock: Clock;
  /** Resolves when the text was taken. Never rejects. */
  readonly #write: (text: string) => Promise<void>;
  #pending = '';
  #timeMs = Number.NaN;
  #time = '';
  #timer: { cancel(): void } | undefined;
  #writing: Promise<void> | undefined;
  #dropped = 0;

  constructor(mode: AccessMode, clock: Clock, write: (text: string) => Promise<void>) {
    this.mode = mode;
    this.#clock = clock;
    this.#write = write;
  }

  get logsHits(): boolean {
    return this.mode === 'all';
  }

  get dropped(): number {
    return this.#dropped;
  }

  /** A hit of a kept answer, answered at once. `tail` is made by `hitTail` when the answer is kept; `by`: who asked. */
  addHit(id: string, tail: string, by = ''): void {
    if (this.#pending.length > maxPendingBytes) {
      this.#dropped += 1;
      return;
    }
    this.#pending += `{"time":"${this.#timeText()}","msg":"request","id":"${id}${by === '' ? '' : `",${byField(by).slice(0, -1)}`}${tail}`;
    this.#schedule();
  }

  add(facts: AccessFacts): void {
    if (this.mode === 'off') return;
    if (this.mode === 'misses' && facts.source === 'store' && facts.status < 400) return;
    if (this.#pending.length > maxPendingBytes) {
      this.#dropped += 1;
      return;
    }
    this.#pending +=
      `{"time":"${this.#timeText()}","msg":"request","id":"${facts.id}","method":"${facts.method}",${facts.fields},` +
      `"source":${JSON.stringify(facts.source)},"status":${facts.status},"bytes":${facts.bytes},` +
      `"ttfb_ms":${facts.firstByteMs.toFixed(1)},"ms":${facts.totalMs.toFixed(1)}` +
      `${facts.aborted === true ? ',"aborted":true' : ''}}\n`;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#pending.length >= flushAtBytes) void this.flush();
    else this.#timer ??= this.#clock.setTimeout(() => void this.flush(), flushEveryMs);
  }

  /** Formatting a time costs more than the rest of a line, and many lines share a millisecond. */
  #timeText(): string {
    const now = this.#clock.now();
    if (now !== this.#timeMs) {
      this.#timeMs = now;
      this.#time = new Date(now).toISOString();
    }
    return this.#time;
  }

  /** Resolves when everything added before is written. */
  async flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    while (this.#writing !== undefined) await this.#writing;
    if (this.#pending === '') return;
    const text = this.#pending;
    this.#pending = '';
    this.#writing = this.#write(text).finally(() => {
      this.#writing = undefined;
    });
    await this.#writing;
  }
}

/** The field of who asked. */
export function byField(by: string): string {
  return `"by":${JSON.stringify(by)}`;
}

/** The end of a hit's line, made once: everything behind the id. */
export function hitTail(fields: string, bytes: number): string {
  return `","method":"GET",${fields},"source":"store","status":200,"bytes":${bytes},"ttfb_ms":0.0,"ms":0.0}\n`;
}

/** JSON fields for what was asked. Values are quoted by JSON rules: a path may hold anything a client sends. */
export function fieldsOf(what: {
  module?: string;
  version?: string;
  artifact: string;
  path?: string;
}): string {
  const fields: string[] = [];
  if (what.module !== undefined) fields.push(`"module":${JSON.stringify(what.module)}`);
  if (what.version !== undefined) fields.push(`"version":${JSON.stringify(what.version)}`);
  fields.push(`"artifact":"${what.artifact}"`);
  if (what.path !== undefined) fields.push(`"path":${JSON.stringify(what.path.slice(0, 512))}`);
  return fields.join(',');
}
