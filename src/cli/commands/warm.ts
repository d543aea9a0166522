/**
 * `modferry warm`: has a running modferry fetch everything that a go.sum, go.mod or list names. Running it again
 * goes on where it stopped, because what is stored is only asked about.
 */
import { appendFile, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { errnoOf, messageOf } from '../../lib/errors.ts';
import { Progress } from '../../lib/progress.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { formatSize, plural, writeJsonLine } from '../format.ts';
import { checkedUrl } from '../server-url.ts';
import { loadSettings, localUrlOf } from '../settings.ts';
import { WarmClient } from '../warm-client.ts';
import { WarmInput, type WarmItem } from '../warm-input.ts';

export interface WarmFlags {
  readonly url?: string;
  readonly concurrency?: number;
  readonly json?: boolean;
  readonly resumeFile?: string;
  readonly config?: string;
}

interface FailedItem {
  readonly module: string;
  readonly version: string;
  readonly artifact: string;
  readonly status: number | null;
  readonly reason: string;
}

interface Tally {
  fetched: number;
  fetchedBytes: number;
  stored: number;
  resumed: number;
  readonly failures: FailedItem[];
}

const defaultConcurrency = 8;
const maxInputBytes = 64 * 1024 * 1024;

/** Rejects with CliError: `usage` (input), `unavailable` (no server), `failed` (with the list told), `interrupted`. */
export async function warm(this: CliContext, flags: WarmFlags, ...files: readonly string[]): Promise<void> {
  const input = new WarmInput();
  for (const file of files.length === 0 ? defaultFiles(this) : files) {
    input.add(file === '-' ? 'standard input' : file, await readInput(this, file));
  }
  const url = flags.url === undefined ? await configuredUrl(this, flags.config) : checkedUrl(flags.url);
  const concurrency = flags.concurrency ?? defaultConcurrency;
  const abort = new AbortController();
  const unlisten = this.onSignal('SIGINT', () => abort.abort(new CliError('interrupted', interruptedText)));
  const client = new WarmClient(url, concurrency);
  const tally: Tally = { fetched: 0, fetchedBytes: 0, stored: 0, resumed: 0, failures: [] };
  try {
    await client.probe(abort.signal);
    await warmAll(this, client, input.items, { tally, concurrency, resumeFile: flags.resumeFile, abort });
  } finally {
    unlisten();
    await client.close();
  }
  report(this, url, input.items.length, tally, flags.json === true);
}

const interruptedText = 'interrupted; run the same command again to go on: what is stored is skipped';

interface RunOptions {
  readonly tally: Tally;
  readonly concurrency: number;
  readonly resumeFile: string | undefined;
  readonly abort: AbortController;
}

async function warmAll(
  context: CliContext,
  client: WarmClient,
  items: readonly WarmItem[],
  { tally, concurrency, resumeFile, abort }: RunOptions,
): Promise<void> {
  const resumePath = resumeFile === undefined ? undefined : resolve(context.cwd, resumeFile);
  const done = resumePath === undefined ? new Set<string>() : await readDone(resumePath);
  const progress = new Progress({
    output: context.stderr,
    clock: context.clock,
    label: 'warming',
    unit: 'versions',
    total: items.length,
  });
  const queue = items.values();
  async function work(): Promise<void> {
    for (const item of queue) {
      if (done.has(resumeLine(item))) tally.resumed += 1;
      else await warmOne(item);
      progress.advance(1, detailOf(tally));
    }
  }
  async function warmOne(item: WarmItem): Promise<void> {
    const result = await client.warm(item, abort.signal);
    if (result.outcome === 'failed') {
      const { artifact, status = null, reason } = result;
      tally.failures.push({ module: item.path, version: item.version, artifact, status, reason });
      return;
    }
    if (result.outcome === 'stored') tally.stored += 1;
    else {
      tally.fetched += 1;
      tally.fetchedBytes += result.fetchedBytes;
    }
    // What a query resolves to changes, so it is never ticked off.
    if (resumePath !== undefined && !item.isQuery) await appendFile(resumePath, `${resumeLine(item)}\n`);
  }
  try {
    await Promise.all(Array.from({ length: concurrency }, work));
  } catch (error) {
    // One worker's end is everybody's: the server is gone, or the user wants to stop.
    abort.abort(error);
    for (const failure of tally.failures) progress.note(`modferry: ${failureText(failure)}`);
    throw error;
  } finally {
    progress.finish();
  }
}

function report(context: CliContext, url: string, total: number, tally: Tally, asJson: boolean): void {
  const { fetched, fetchedBytes, stored, resumed, failures } = tally;
  if (asJson) {
    writeJsonLine(context.stdout, { url, total, fetched, fetchedBytes, stored, resumed, failed: failures });
  } else {
    const parts = [`${fetched} fetched (${formatSize(fetchedBytes)})`, `${stored} already stored`];
    if (resumed > 0) parts.push(`${resumed} done before`);
    if (failures.length > 0) parts.push(`${failures.length} failed`);
    context.stdout.write(`${plural(total, 'version')}: ${parts.join(', ')}\n`);
  }
  if (failures.length === 0) return;
  const lines = failures.map((failure) => `  ${failureText(failure)}`).join('\n');
  throw new CliError('failed', `${plural(failures.length, 'version')} could not be had:\n${lines}`);
}

function failureText({ module, version, artifact, status, reason }: FailedItem): string {
  return `${module}@${version} ${artifact}: ${status === null ? '' : `${status} `}${reason}`;
}

function detailOf({ fetchedBytes, failures }: Tally): string {
  const failed = failures.length === 0 ? '' : `, ${failures.length} failed`;
  return `${formatSize(fetchedBytes)}${failed}`;
}

function resumeLine(item: WarmItem): string {
  return `${item.path}@${item.version} ${item.exts.join('+')}`;
}

async function readDone(file: string): Promise<Set<string>> {
  try {
    return new Set((await readFile(file, 'utf8')).split('\n'));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return new Set();
    throw new CliError('usage', `cannot read the resume file ${file}: ${messageOf(error)}`, { cause: error });
  }
}

function defaultFiles(context: CliContext): readonly string[] {
  if (!context.stdin.isTty) return ['-'];
  throw new CliError('usage', 'nothing to warm; name a go.sum, a go.mod or a list, or pipe one in');
}

async function readInput(context: CliContext, file: string): Promise<string> {
  if (file === '-') return await readStdin(context);
  try {
    return await readFile(resolve(context.cwd, file), 'utf8');
  } catch (error) {
    throw new CliError('usage', `cannot read ${file}: ${messageOf(error)}`, { cause: error });
  }
}

async function readStdin(context: CliContext): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of context.stdin) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxInputBytes) throw new CliError('usage', 'the input is larger than 64 MiB; split it');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function configuredUrl(context: CliContext, configFlag: string | undefined): Promise<string> {
  const { config } = await loadSettings(context, configFlag);
  const found = localUrlOf(config);
  if ('url' in found) return found.url;
  throw new CliError('usage', `cannot tell where modferry listens: ${found.fault}; give it with --url`);
}
