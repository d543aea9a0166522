/** `modferry deliveries` and `modferry deliveries replay`: what forges told of pushes, and what came of it. */
import { stat } from 'node:fs/promises';
import { errnoOf, messageOf } from '../../lib/errors.ts';
import { type DeliveryRecord, deliveryJson, parseDeliveryLine } from '../../webhooks/delivery.ts';
import { findDelivery, readDeliveries } from '../../webhooks/delivery-log.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { deliveriesText } from '../deliveries-text.ts';
import { writeJsonLine } from '../format.ts';
import { findRunning } from '../running.ts';
import { type FolderFlags, loadFolder } from '../settings.ts';

export interface DeliveriesFlags extends FolderFlags {
  readonly json?: boolean;
  readonly failed?: boolean;
  readonly limit?: number;
}

export interface ReplayFlags extends FolderFlags {
  readonly json?: boolean;
}

const defaultLimit = 100;
/** As long as a push may take, and a little for those before it. */
const replayTimeoutMs = 20 * 60_000;

/** Rejects with CliError `absent` (no such folder) or `failed` (it cannot be read), ConfigError. */
export async function deliveriesList(this: CliContext, flags: DeliveriesFlags): Promise<void> {
  const { dataDir } = await loadFolder(this, flags);
  await stat(dataDir).catch(() => {
    throw new CliError('absent', `there is no data folder ${dataDir}; name it with --data`);
  });
  const all = await read(dataDir, readDeliveries(dataDir));
  const found = flags.failed === true ? all.filter(isTrouble) : all;
  const shown = found.slice(-(flags.limit ?? defaultLimit));
  if (flags.json === true) for (const record of shown) writeJsonLine(this.stdout, deliveryJson(record));
  else this.stdout.write(deliveriesText(shown));
  if (shown.length === 0) this.stderr.write('no such deliveries\n');
}

/** Of one that waits nothing is known to be wrong; after a crash it stays so. */
function isTrouble({ state }: DeliveryRecord): boolean {
  return state === 'failed' || state === 'part';
}

/** Rejects with CliError `absent` (no such delivery), `unavailable` (nothing is running), `failed`, ConfigError. */
export async function deliveriesReplay(this: CliContext, flags: ReplayFlags, id: string): Promise<void> {
  const running = await findRunning(this, flags);
  const { dataDir } = running;
  const found = await read(dataDir, findDelivery(dataDir, id));
  if (found === undefined) {
    throw new CliError('absent', `there is not one delivery ${id}; modferry deliveries lists them`);
  }
  const patience = { timeoutMs: replayTimeoutMs };
  const answer = await running.askIfAny('POST', '/deliveries/replay', { id: found.id }, patience);
  if (answer === undefined) {
    throw new CliError('unavailable', `no modferry is running on ${dataDir}; start it with modferry serve`);
  }
  const record = parseDeliveryLine(JSON.stringify(answer));
  if (flags.json === true || record === undefined) writeJsonLine(this.stdout, answer);
  else this.stdout.write(deliveriesText([record]));
  if (record?.state === 'failed') throw new CliError('failed', 'it failed again');
}

async function read<Result>(dataDir: string, reading: Promise<Result>): Promise<Result> {
  try {
    return await reading;
  } catch (error) {
    const hint = errnoOf(error) === 'EACCES' ? '; run it as the user that modferry runs as' : '';
    throw new CliError('failed', `the deliveries in ${dataDir} cannot be read: ${messageOf(error)}${hint}`, {
      cause: error,
    });
  }
}
