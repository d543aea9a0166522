/** What the tests of ill mirrors share: illnesses to fall into and recover from, modules, and looks at who is asked. */
import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { ask, type ModferryFor, modferry, runModferry, upstream } from '../e2e/support.ts';
import { type FakeModule, fakeModule } from '../kit/fake-module.ts';
import type { FakeUpstream } from '../kit/fake-upstream.ts';
import {
  captivePortal,
  delay,
  drip,
  type Fault,
  flipByte,
  type RequestMatch,
  reset,
  stall,
  status,
  truncate,
} from '../kit/faults.ts';
import type { ModferryProcess } from '../kit/modferry-process.ts';

export interface Illness {
  readonly name: string;
  /** Shows in zips only; small answers and probes are well. */
  readonly isOfZips?: boolean;
  /** The longest that ten modules, one after another, may take: far less than once the limit for each of them. */
  readonly limitMs: number;
  /** How often it may be asked for new modules when its place is long lost. Default 0. */
  readonly trialsLater?: number;
  begin(ill: FakeUpstream): Promise<void>;
  end(ill: FakeUpstream): Promise<void>;
}

function scripted(
  name: string,
  fault: Fault,
  options: { readonly isOfZips?: boolean; readonly limitMs?: number; readonly trialsLater?: number } = {},
): Illness {
  const { isOfZips = false, limitMs = 5_000, trialsLater = 0 } = options;
  const match: RequestMatch = isOfZips ? '.zip' : /./;
  return {
    name,
    isOfZips,
    limitMs,
    trialsLater,
    begin: async (ill) => void ill.faults.add({ match, fault }),
    end: async (ill) => ill.faults.clear(),
  };
}

const refusing: Illness = {
  name: 'refuses connections',
  limitMs: 5_000,
  begin: (ill) => ill.refuse(),
  end: (ill) => ill.listenAgain(),
};

/** Zips are of this size and a little more. */
export const zipBytes = 48 * 1024;
const half = zipBytes / 2;

export const wholeIllnesses: readonly Illness[] = [
  refusing,
  scripted('accepts and never answers', stall()),
  scripted('resets connections', reset()),
  scripted('answers 500', status(500)),
  scripted('shows a log-in page', captivePortal()),
  scripted('takes 3 s to answer', delay(3_000)),
];

export const zipIllnesses: readonly Illness[] = [
  scripted('truncates zips', truncate(half), { isOfZips: true }),
  // One bad copy costs a place only until a good answer, and then the slow start asks it for a share, by chance; the
  // second bad copy costs it a minute. So one trial is possible late, and no more.
  scripted('corrupts zips', flipByte(half), { isOfZips: true, trialsLater: 1 }),
  scripted('stalls in mid-zip', stall(half), { isOfZips: true }),
  // What comes too slowly is known after 5 s.
  scripted('drips zips', drip(1_000), { isOfZips: true, limitMs: 15_000 }),
];

export const probed = fakeModule({ path: 'probe.test/small' });

/** `prefix0`, `prefix1`, … */
export function modulesNamed(prefix: string, count: number, paddingBytes = zipBytes): FakeModule[] {
  return Array.from({ length: count }, (_, index) =>
    fakeModule({ path: `example.com/${prefix}${index}`, paddingBytes }),
  );
}

/** Short patience, and everything else as it is by default but for often probing whoever is ill. */
export const shortTimeouts = {
  connect: '1s',
  first_byte: { meta: '300ms', zip: '300ms' },
  first_byte_floor: '300ms',
  last_hope: '5s',
  idle: '500ms',
};

export const probe = {
  out_every: '200ms',
  timeout: '500ms',
  path: '/probe.test/small/@v/v1.0.0.mod',
  sha256: createHash('sha256').update(probed.mod).digest('hex'),
};

/** Keys of `health:` that make a recovery a matter of moments. */
export const quickReturn = {
  probe: { ...probe, every: '200ms', idle_every: '200ms' },
  out_for: '500ms',
  out_for_max: '500ms',
  good_probes: 2,
  slow_start: '0s',
  switch_back_after: '500ms',
};

export interface Rig {
  readonly proxy: ModferryProcess;
  readonly ill: FakeUpstream;
  readonly good: FakeUpstream;
}

/** Two upstreams with the same modules, `ill` before `good` in the list; both are still well. */
export async function rig(
  modules: readonly FakeModule[],
  config: Readonly<Record<string, unknown>> = {},
  options: Omit<ModferryFor, 'config' | 'upstreams'> = {},
): Promise<Rig> {
  const all = [...modules, probed];
  const ill = await upstream({ modules: all });
  const good = await upstream({ modules: all });
  const proxy = await modferry({
    ...options,
    config: {
      upstreams: [
        { url: ill.url, name: 'ill' },
        { url: good.url, name: 'good' },
      ],
      timeouts: shortTimeouts,
      ingest: { hold: '400ms' },
      health: { probe },
      ...config,
    },
  });
  return { proxy, ill, good };
}

export const exts = ['info', 'mod', 'zip'] as const;

/** What `go mod download` asks for. */
export async function fetchModule(base: string, module: FakeModule): Promise<void> {
  const { path, version } = module;
  for (const ext of exts) {
    const answer = await ask(base, `/${path}/@v/${version}.${ext}`);
    expect(answer, `${path} .${ext}: ${answer.text.slice(0, 300)}`).toMatchObject({
      status: 200,
      complete: true,
    });
    expect(answer.body.equals(module[ext]), `${path} .${ext}: the right bytes`).toBe(true);
  }
}

/** What `go list -m -versions` and `@latest` ask for. */
export async function askVersions(base: string, { path, version }: FakeModule): Promise<void> {
  const list = await ask(base, `/${path}/@v/list`);
  expect(list, `list of ${path}`).toMatchObject({ status: 200, text: `${version}\n`, complete: true });
  const latest = await ask(base, `/${path}/@latest`);
  expect(latest.status, `@latest of ${path}: ${latest.text}`).toBe(200);
  expect(JSON.parse(latest.text)).toMatchObject({ Version: version });
}

/** Requests for this module's files, in any form. */
export function askedFor(source: FakeUpstream, { path }: FakeModule, ext?: string): number {
  return source.count(
    (request) => request.path.startsWith(`/${path}/@`) && (ext === undefined || request.path.endsWith(ext)),
  );
}

export interface UpstreamStatus {
  readonly name: string;
  readonly state: string;
  readonly restUntilMs?: number | null;
  readonly favouriteOf: readonly string[];
}

/** As `modferry status --json` tells it. */
export async function upstreamStatus(dataDir: string, name: string): Promise<UpstreamStatus> {
  const { code, stdout, stderr } = await runModferry(['status', '--json', '--data', dataDir]);
  expect(code, stderr).toBe(0);
  const { upstreams } = JSON.parse(stdout) as { upstreams: UpstreamStatus[] };
  const found = upstreams.find((each) => each.name === name);
  return found ?? expect.fail(`no upstream ${name} in ${stdout}`);
}

export interface EventLine {
  readonly at: string;
  readonly kind: string;
  readonly upstream?: string;
  readonly message: string;
  readonly count?: number;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** As `modferry events --json` tells them, oldest first. */
export async function eventsOf(dataDir: string, ...flags: string[]): Promise<EventLine[]> {
  const { code, stdout, stderr } = await runModferry([
    'events',
    '--json',
    '--limit',
    '10000',
    '--data',
    dataDir,
    ...flags,
  ]);
  expect(code, stderr).toBe(0);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as EventLine);
}
