/**
 * Runs git: with an argument array and never a shell, in a process group of its own that is ended as a whole, with a
 * bounded number at once, bounded output and a deadline. Nothing of it is left when a call settles.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { constants } from 'node:os';
import { reasonOf } from '../../lib/abort.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import { errnoOf, messageOf } from '../../lib/errors.ts';
import { HostPlaces } from '../../lib/host-places.ts';
import { Semaphore } from '../../lib/semaphore.ts';
import { VcsError } from '../types.ts';
import { gitEnvironment } from './git-environment.ts';
import type { GitReach, GitRunnerOptions, RemoteReach } from './git-options.ts';

/** From SIGTERM, at which git takes its lock files away, to SIGKILL. */
const graceMs = 2_000;
const maxStderrBytes = 8_192;
const defaultMaxStdoutBytes = 16 * 2 ** 20;
const defaultLocalTimeoutMs = 60_000;
const defaultMaxConcurrent = 32;
const defaultMaxLocal = 8;
const maxPerHost = 4;
const defaultMaxQueued = 256;
const defaultQueueTimeoutMs = 60_000;
/** 1000 × major + minor. */
const oldestVersion = 2_031;
const pinningVersion = 2_037;

export interface GitCall {
  /** The repository; undefined: none. */
  readonly gitDir?: string | undefined;
  /** Where new objects go in place of the repository's own folder of them. */
  readonly objectsDir?: string | undefined;
  /** Default: nothing but its own files. */
  readonly reach?: GitReach | undefined;
  readonly input?: string | undefined;
  readonly signal: AbortSignal;
  /** From its start, without the wait for a place. Default 60,000. */
  readonly timeoutMs?: number | undefined;
  /** Of standard output; more ends it with VcsError `too_large`. Default 16 MiB. */
  readonly maxBytes?: number | undefined;
  /**
   * Gets standard output in place of `GitResult.stdout`; git waits for what it returns. Its rejection ends git and is
   * what the call rejects with.
   */
  readonly onData?: ((chunk: Buffer) => void | Promise<void>) | undefined;
  /** Told the process group once git runs; what it returns is called when that is over. Neither throws. */
  readonly onStart?: ((group: number) => () => void) | undefined;
}

export interface GitResult {
  /** 128 and the signal's number when somebody else killed it. */
  readonly exitCode: number;
  /** Empty when `onData` took it. */
  readonly stdout: Buffer;
  /** The last 8 KiB. It may hold anything a server said: for classification, not for people. */
  readonly stderr: string;
}

/** For the gits of several runners that talk to servers: four to one host, so that a silent one does not stop the others. */
export function remotePlaces(maxConcurrent = defaultMaxConcurrent, maxQueued = defaultMaxQueued): HostPlaces {
  return new HostPlaces({
    inAll: maxConcurrent,
    perHost: Math.min(maxPerHost, maxConcurrent),
    // A host may have a quarter of the queue: as many wait for one as were let wait for all.
    maxQueued: maxQueued * 4,
  });
}

/** Raised by what cannot be told from git's output: `timeout`, `busy`, `too_large`, `failed` (no git). */
export class GitRunner {
  readonly #options: GitRunnerOptions;
  readonly #clock: Clock;
  readonly #places: { readonly local: Semaphore; readonly remote: HostPlaces };
  #checked: Promise<number> | undefined;

  constructor(options: GitRunnerOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    const { maxConcurrent = defaultMaxConcurrent, maxQueued = defaultMaxQueued, transport } = options;
    const { maxLocal = Math.min(maxConcurrent, defaultMaxLocal) } = options;
    // Apart: fetches that wait for servers must not keep anybody from reading what is there.
    this.#places = {
      local: new Semaphore(maxLocal, maxQueued),
      remote: transport?.places ?? remotePlaces(maxConcurrent, maxQueued),
    };
  }

  /** Resolves when git has ended by itself, whatever its exit code. Rejects with VcsError or the signal's reason. */
  async run(args: readonly string[], call: GitCall): Promise<GitResult> {
    const version = await this.#check(call.signal);
    if (call.reach !== undefined && call.reach !== 'local') this.#checkPin(call.reach, version);
    const release = await this.#place(call.reach ?? 'local', call.signal);
    try {
      return await this.#runNow(args, call);
    } finally {
      release();
    }
  }

  /**
   * The git there is must know GIT_CONFIG_COUNT, without which it would run unlocked and say nothing. Asked once; a
   * failure is asked again by the next call.
   */
  async #check(signal: AbortSignal): Promise<number> {
    if (signal.aborted) throw reasonOf(signal);
    this.#checked ??= this.#checkVersion();
    try {
      return await this.#checked;
    } catch (error) {
      this.#checked = undefined;
      throw error;
    }
  }

  /** An older git knows nothing of `http.curloptResolve`: it would look the name up again, and be led elsewhere. */
  #checkPin({ url }: RemoteReach, version: number): void {
    if (version >= pinningVersion || !/^https?:/.test(url)) return;
    if (this.#options.transport?.addressFor?.(url) === undefined) return;
    throw new VcsError(
      'refused',
      `git is older than 2.37 and cannot be held to the address that ${URL.parse(url)?.host ?? ''} was checked at; install a newer git`,
    );
  }

  /** 1000 × major + minor. */
  async #checkVersion(): Promise<number> {
    await mkdir(this.#options.homeDir, { recursive: true, mode: 0o500 });
    const { stdout } = await this.#runNow(['--version'], {
      signal: new AbortController().signal,
      timeoutMs: 10_000,
    });
    const [, major, minor] = /(\d+)\.(\d+)/.exec(stdout.toString()) ?? [];
    const version = Number(major) * 1000 + Number(minor);
    if (version >= oldestVersion) return version;
    throw new VcsError(
      'failed',
      `git is ${messageOf(stdout.toString(), 60) || 'not what it should be'}; modferry needs 2.31 or newer`,
    );
  }

  async #place(reach: GitReach, signal: AbortSignal): Promise<() => void> {
    const late = new AbortController();
    const { queueTimeoutMs = defaultQueueTimeoutMs } = this.#options;
    const timer = this.#clock.setTimeout(() => late.abort(busy()), queueTimeoutMs);
    try {
      const either = AbortSignal.any([signal, late.signal]);
      const release = await (reach === 'local'
        ? this.#places.local.acquire(either)
        : this.#places.remote.acquire(URL.parse(reach.url)?.host ?? '', either));
      if (release === undefined) throw busy();
      return release;
    } finally {
      timer.cancel();
    }
  }

  async #runNow(args: readonly string[], call: GitCall): Promise<GitResult> {
    if (call.signal.aborted) throw reasonOf(call.signal);
    const { command = 'git', homeDir } = this.#options;
    const env = gitEnvironment(this.#options, call.reach ?? 'local', call.gitDir, call.objectsDir);
    const child = spawn(command, args, {
      cwd: homeDir,
      env,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const over = child.pid === undefined ? undefined : call.onStart?.(child.pid);
    try {
      return await new GitProcess(child, this.#clock, call).result();
    } finally {
      over?.();
    }
  }
}

/** One git from its start to the end of its group. */
class GitProcess {
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  readonly #call: GitCall;
  readonly #timers: Timer[] = [];
  readonly #stdout: Buffer[] = [];
  #stdoutBytes = 0;
  #stderr = Buffer.alloc(0);
  /** Why it was ended, when it was. */
  #cause: Error | undefined;

  constructor(child: ChildProcess, clock: Clock, call: GitCall) {
    this.#child = child;
    this.#clock = clock;
    this.#call = call;
  }

  async result(): Promise<GitResult> {
    const { signal, timeoutMs = defaultLocalTimeoutMs } = this.#call;
    const onAbort = (): void => this.#end(reasonOf(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    this.#timers.push(this.#clock.setTimeout(() => this.#end(outOfTime(timeoutMs)), timeoutMs));
    try {
      // Listeners first: what happens in this turn of the loop must not be missed.
      const closed = this.#closed();
      const [exitCode] = await Promise.all([closed, this.#drain()]);
      if (this.#cause !== undefined) throw this.#cause;
      return { exitCode, stdout: Buffer.concat(this.#stdout), stderr: this.#stderr.toString() };
    } finally {
      signal.removeEventListener('abort', onAbort);
      for (const timer of this.#timers) timer.cancel();
    }
  }

  /** Exit code; 128 and the signal's number when somebody killed it. */
  #closed(): Promise<number> {
    const child = this.#child;
    child.stdin?.on('error', () => {});
    child.stdin?.end(this.#call.input ?? '');
    child.stderr?.on('error', () => {});
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = Buffer.concat([this.#stderr, chunk]).subarray(-maxStderrBytes);
    });
    return new Promise((resolve, reject) => {
      child.once('error', (error) => reject(notStarted(error)));
      child.once('exit', () => this.#endLeftovers());
      child.once('close', (code, signal) =>
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
      );
    });
  }

  async #drain(): Promise<void> {
    const { stdout } = this.#child;
    if (stdout === null) return;
    const { maxBytes = defaultMaxStdoutBytes, onData } = this.#call;
    try {
      for await (const chunk of stdout as AsyncIterable<Buffer>) {
        if (this.#cause !== undefined) continue;
        this.#stdoutBytes += chunk.length;
        if (this.#stdoutBytes > maxBytes) this.#end(tooLarge(maxBytes));
        else if (onData === undefined) this.#stdout.push(chunk);
        else await onData(chunk);
      }
    } catch (error) {
      this.#end(error instanceof Error ? error : new Error(messageOf(error)));
      stdout.destroy();
    }
  }

  #end(cause: Error): void {
    if (this.#cause !== undefined) return;
    this.#cause = cause;
    this.#signal('SIGTERM');
    this.#timers.push(this.#clock.setTimeout(() => this.#signal('SIGKILL'), graceMs));
  }

  /** Whoever git left behind would hold its pipes, and never be heard of again. */
  #endLeftovers(): void {
    this.#signal('SIGKILL');
    const { stdout, stderr } = this.#child;
    this.#timers.push(
      this.#clock.setTimeout(() => {
        stdout?.destroy();
        stderr?.destroy();
      }, graceMs),
    );
  }

  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch (error) {
      // Gone already. EPERM is what macOS says of a group of zombies.
      if (errnoOf(error) !== 'ESRCH' && errnoOf(error) !== 'EPERM') throw error;
    }
  }
}

function notStarted(error: Error): VcsError {
  const why =
    errnoOf(error) === 'ENOENT'
      ? 'there is no git on this machine; install it, or say where it is'
      : `git could not be started (${errnoOf(error) ?? messageOf(error, 80)})`;
  return new VcsError('failed', why, { cause: error });
}

function busy(): VcsError {
  return new VcsError('busy', 'too many git commands are under way; try again in a moment');
}

function outOfTime(timeoutMs: number): VcsError {
  return new VcsError('timeout', `git was not done after ${timeoutMs / 1000} s and was ended`);
}

function tooLarge(maxBytes: number): VcsError {
  return new VcsError('too_large', `git gave more than the ${maxBytes} bytes that are allowed here`);
}
