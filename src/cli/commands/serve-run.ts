/**
 * What `modferry serve` does: loads the configuration, starts the service, says where it is and what to give to
 * clients, and lives until it is told to stop.
 */
import { write } from 'node:fs';
import packageJson from '../../../package.json' with { type: 'json' };
import { formatFaults } from '../../config/fault.ts';
import { ConfigWatcher, type ReloadOutcome } from '../../config/reload.ts';
import { watchConfigFile } from '../../config/watch-file.ts';
import { ModferryError, messageOf } from '../../lib/errors.ts';
import { Service } from '../../service/service.ts';
import type { Started } from '../../service/service-input.ts';
import { createLog, type Logger } from '../../telemetry/log.ts';
import type { GoEnv } from '../../upstream/decide-upstreams.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { loadSettings } from '../settings.ts';
import { type ServeFlags, serveFlagValues } from './serve-flags.ts';

const stderrFd = 2;

export async function runServe(
  this: CliContext,
  flags: ServeFlags,
  goEnv: Promise<GoEnv | undefined>,
): Promise<void> {
  const load = () => loadSettings(this, flags.config, serveFlagValues(flags));
  const loaded = await load();
  const { config } = loaded;
  const format = config.log.format === 'auto' ? (this.stderr.isTty ? 'text' : 'json') : config.log.format;
  const log = createLog({ level: config.log.level, format, write: (text) => this.stderr.write(text) });
  let service: Service | undefined;
  const watcher = new ConfigWatcher({
    initial: loaded,
    load,
    report: (outcome) => {
      report(outcome, log);
      if (outcome.outcome !== 'applied') service?.noteRefused(reasonOf(outcome));
    },
  });
  watcher.subscribe(async (next) => {
    if (service === undefined)
      throw new ModferryError('starting', 'still starting; reload again in a moment');
    const applied = await service.apply(next.loaded.config);
    for (const key of applied.restartNeededFor) {
      log.warn({ key }, 'this setting changes only with a restart');
    }
  });

  const stopped = Promise.withResolvers<void>();
  let signals = 0;
  const onStop = (): void => {
    signals += 1;
    if (signals > 1) {
      service?.cut();
      stopped.resolve();
    } else if (service !== undefined) {
      log.info('stopping: transfers under way may finish; a second signal stops at once');
      service.stop().then(stopped.resolve, stopped.reject);
    }
    // Still starting: it is stopped as soon as it stands.
  };
  const listeners = [
    this.onSignal('SIGTERM', onStop),
    this.onSignal('SIGINT', onStop),
    this.onSignal('SIGHUP', () => void watcher.reload()),
  ];

  try {
    const { service: running, started } = await Service.start({
      config,
      env: this.env,
      clock: this.clock,
      log,
      version: packageJson.version,
      cwd: this.cwd,
      goEnv,
      writeAccess,
      reload: async () => {
        const outcome = await watcher.reload();
        if (outcome.outcome === 'applied') return { revision: outcome.revision };
        throw new ModferryError('not_reloaded', reasonOf(outcome));
      },
    });
    service = running;
    this.stdout.write(startText(started, packageJson.version));
    for (const warning of started.warnings) log.warn({ reason: warning }, 'start-up warning');
    if (signals > 0) service.stop().then(stopped.resolve, stopped.reject);
    const unwatch =
      config.watchConfig && loaded.file !== undefined
        ? watchConfigFile(loaded.file, {
            clock: this.clock,
            onChange: () => void watcher.reload(),
            onError: (error) =>
              log.warn({ reason: messageOf(error) }, 'the configuration file is no longer watched'),
          })
        : undefined;
    await stopped.promise;
    unwatch?.();
  } catch (error) {
    if (error instanceof ModferryError) throw new CliError('failed', error.message, { cause: error });
    throw error;
  } finally {
    for (const unlisten of listeners) unlisten();
  }
}

/** What the operator sees first: where it listens, where it stores, whom it asks, and the line for clients. */
function startText(started: Started, version: string): string {
  const addresses = started.urls.filter((each) => !each.startsWith('unix:'));
  const url = addresses.find((each) => each.startsWith('https:')) ?? addresses[0] ?? '';
  const origin = started.upstreamOrigin === 'configuration' ? 'configured' : `from ${started.upstreamOrigin}`;
  const names = started.upstreamNames.length === 0 ? 'none' : started.upstreamNames.join(', ');
  return [
    `modferry ${version}`,
    ...started.urls.map((each) => `  listening on ${each}`),
    `  storing in   ${started.downloadFolder}`,
    `  upstreams    ${names} (${origin})`,
    `  for clients  go env -w GOPROXY=${url}`,
    '',
  ].join('\n');
}

function report(outcome: ReloadOutcome, log: Logger): void {
  if (outcome.outcome === 'applied') log.info({ revision: outcome.revision }, 'configuration applied');
  else
    log.error(
      { revision: outcome.revision, reason: reasonOf(outcome) },
      'configuration refused; the old one goes on',
    );
}

function reasonOf(outcome: Exclude<ReloadOutcome, { outcome: 'applied' }>): string {
  return outcome.outcome === 'refused' ? formatFaults(outcome.faults) : messageOf(outcome.error);
}

/** Straight to the descriptor: a stream would keep every line that a slow reader does not take. */
function writeAccess(text: string): Promise<void> {
  return new Promise((resolve) => {
    const bytes = Buffer.from(text);
    let written = 0;
    function next(): void {
      write(stderrFd, bytes, written, bytes.length - written, null, (error, count) => {
        if (error !== null && error.code !== 'EAGAIN') {
          resolve();
          return;
        }
        written += error === null ? count : 0;
        if (written >= bytes.length) resolve();
        else setTimeout(next, error === null ? 0 : 10);
      });
    }
    next();
  });
}
