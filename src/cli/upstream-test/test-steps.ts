/** `modferry upstreams test`: what it tests for a host or a module, in which order. */
import { escapeCase } from '../../gomod/escape.ts';
import type { ModulePath, Version } from '../../gomod/types.ts';
import { bareHost } from '../../outbound/network-address.ts';
import { testConnection } from './connection.ts';
import { type TestedDirect, testDirect } from './direct-steps.ts';
import { type Step, StepWriter } from './step.ts';
import { type TestedUpstream, testUpstream, type UpstreamQuestion } from './upstream-steps.ts';

export type TestTarget =
  | { readonly kind: 'module'; readonly path: ModulePath; readonly version: Version | undefined }
  /** An upstream's name, a host, `HOST:PORT`, or a URL. */
  | { readonly kind: 'host'; readonly text: string };

export interface TestedRoute {
  readonly name: string;
  readonly isPrivate: boolean;
  /** Upstreams by name, `direct`, `published`, in order. */
  readonly sources: readonly string[];
}

export interface TestDeps {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly signal: AbortSignal;
  readonly onStep: (step: Step) => void;
  readonly routeOf: (path: ModulePath) => TestedRoute;
  readonly upstreams: readonly TestedUpstream[];
  /** What is asked of an upstream when no module is named: escaped, `/github.com/…/@v/v1.0.0.mod`. */
  readonly probePath: string;
  /** Undefined: modules do not come from repositories here. */
  readonly direct: TestedDirect | undefined;
}

/** All steps, told as they are made. True: none failed. Rejects with the signal's reason alone. */
export async function testSteps(target: TestTarget, deps: TestDeps): Promise<boolean> {
  let isGood = true;
  const onStep = (step: Step): void => {
    if (step.outcome === 'failed') isGood = false;
    deps.onStep(step);
  };
  const watched = { ...deps, onStep };
  await (target.kind === 'module' ? testModule(target, watched) : testHost(target.text, watched));
  return isGood;
}

async function testModule(
  { path, version }: Extract<TestTarget, { kind: 'module' }>,
  deps: TestDeps,
): Promise<void> {
  const writer = writerOf('modferry', deps);
  const { name, isPrivate, sources } = deps.routeOf(path);
  const kind = isPrivate ? 'private' : 'public';
  if (sources.length === 0) {
    writer.failed(
      'route',
      `${name} (${kind}) has no source`,
      'declare a private upstream, or give it direct',
    );
    return;
  }
  writer.ok('route', `${name} (${kind}), asked in this order: ${sources.join(', ')}`);
  for (const source of sources) {
    deps.signal.throwIfAborted();
    if (source === 'published') {
      writer.note('module', 'what was published here is in the store; see modferry info');
    } else if (source === 'direct') {
      await testSource(path, version, deps);
    } else {
      const tested = deps.upstreams.find(({ upstream }) => upstream.name === source);
      if (tested === undefined) writer.failed('route', `there is no upstream ${source}`, 'correct the route');
      else if (isPrivate && !tested.upstream.isPrivate) {
        writer.note('route', `${source} is not declared private, so it is never told of ${path}`);
      } else await testUpstream(tested, questionOf(path, version), writerOf(source, deps), deps.signal);
    }
  }
}

async function testSource(path: ModulePath, version: Version | undefined, deps: TestDeps): Promise<void> {
  const writer = writerOf('direct', deps);
  if (deps.direct === undefined) {
    writer.failed('location', 'modules do not come from repositories here', 'set direct.enabled');
  } else await testDirect(deps.direct, { path, version }, writer, deps.signal);
}

function questionOf(path: ModulePath, version: Version | undefined): UpstreamQuestion {
  const base = `/${escapeCase(path)}/@v`;
  return version === undefined
    ? { target: `${base}/list`, what: path, isWanted: true }
    : { target: `${base}/${escapeCase(version)}.info`, what: `${path}@${version}`, isWanted: true };
}

async function testHost(text: string, deps: TestDeps): Promise<void> {
  const known = deps.upstreams.filter((one) => isMeant(one, text));
  for (const tested of known) {
    const { probePath } = deps;
    const question = { target: probePath, what: probePath.replace(/^\//, ''), isWanted: false };
    await testUpstream(tested, question, writerOf(tested.upstream.name, deps), deps.signal);
  }
  if (known.length > 0) return;
  const writer = writerOf(text, deps);
  const url = hostUrl(text);
  if (url === undefined || deps.direct === undefined) {
    const names = deps.upstreams.map(({ upstream }) => upstream.name).join(', ');
    writer.failed(
      'route',
      'no upstream is called so, and it is no host',
      `there are: ${names === '' ? 'none' : names}`,
    );
    return;
  }
  if (!(await testConnection(url, deps.direct.way, writer, deps.signal))) return;
  const { name, remarks } = deps.direct.credentials.explain(url.href, undefined);
  for (const remark of remarks) writer.note('credentials', remark);
  writer.note(
    'credentials',
    name === undefined ? 'none are configured for it' : name,
    'name a module of it to test authentication and more',
  );
}

/** Whether the text means this upstream: by its name, host or URL. */
export function isMeant({ upstream, url }: TestedUpstream, text: string): boolean {
  const { host, hostname, href } = new URL(url);
  const bare = text.replace(/\/+$/, '');
  return [upstream.name, host, hostname, href.replace(/\/+$/, '')].includes(bare);
}

/** https unless the text says otherwise. Without userinfo. */
function hostUrl(text: string): URL | undefined {
  const written = text.includes('://') ? text : `https://${text}`;
  const url = URL.parse(written);
  if (url === null || bareHost(url.hostname) === '') return undefined;
  if (!['https:', 'http:', 'ssh:'].includes(url.protocol)) return undefined;
  url.username = '';
  url.password = '';
  return url;
}

function writerOf(subject: string, { now, onStep }: TestDeps): StepWriter {
  return new StepWriter(subject, now, onStep);
}
