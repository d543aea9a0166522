/** For tests: a whole modferry in this process, silent, with checksums off and nothing of this machine's Go settings. */
import { onTestFinished } from 'vitest';
import { load } from '../config/load-kit.ts';
import { systemClock } from '../lib/clock.ts';
import { createLog } from '../telemetry/log.ts';
import { Service } from './service.ts';

/** Stopped after the test. `yaml`: its configuration, relative to `cwd`. */
export async function startService(yaml: string, cwd: string) {
  const { config } = await load(yaml);
  const { service, started } = await Service.start({
    config,
    env: { GOSUMDB: 'off' },
    clock: systemClock,
    log: createLog({ level: 'silent', format: 'json', write: () => {} }),
    version: '0.0.0',
    cwd,
    goEnv: Promise.resolve(undefined),
    writeAccess: async () => {},
    reload: async () => ({}),
  });
  onTestFinished(() => service.stop());
  return { service, config, url: started.urls[0] ?? '' };
}
