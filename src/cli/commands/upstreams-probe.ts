/** `modferry upstreams probe`: asks the running process to probe its upstreams now. */
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { plural, renderTable, writeJsonLine } from '../format.ts';
import { findRunning } from '../running.ts';
import type { FolderFlags } from '../settings.ts';

export interface ProbeFlags extends FolderFlags {
  readonly json?: boolean;
}

interface ProbeAnswer {
  readonly name: string;
  readonly code: string;
  readonly tookMs: number;
  readonly message: string;
}

/** Rejects with CliError `unavailable`, or `failed` when a probe failed. */
export async function upstreamsProbe(this: CliContext, flags: ProbeFlags, name?: string): Promise<void> {
  const running = await findRunning(this, flags);
  const answer = await running.ask('POST', '/upstreams/probe', name === undefined ? {} : { upstream: name });
  const probes = (answer['probes'] ?? []) as readonly ProbeAnswer[];
  if (flags.json === true) for (const probe of probes) writeJsonLine(this.stdout, probe);
  else {
    this.stdout.write(
      renderTable(
        probes.map((probe) => [
          isGood(probe) ? 'ok' : 'FAILED',
          probe.name,
          `${Math.round(probe.tookMs)} ms`,
          probe.code === 'ok' ? '' : `${probe.code}: ${probe.message}`,
        ]),
      ),
    );
  }
  const failed = probes.filter((probe) => !isGood(probe));
  if (failed.length > 0) throw new CliError('failed', `${plural(failed.length, 'probe')} failed`);
}

/** A 404 is an answer too: not every upstream has the probe's file. */
function isGood({ code }: ProbeAnswer): boolean {
  return code === 'ok' || code === 'absent' || code === 'gone';
}
