/** What a push does here: the repository is asked anew, pushed versions are stored at once, answers are made anew. */
import type { ArtifactExt, ModulePath, Version } from '../gomod/types.ts';
import { SourcesFailure } from '../ingest/types.ts';
import { ModferryError } from '../lib/errors.ts';
import type { Reply, RequestContext } from '../proxy/types.ts';
import type { Store } from '../store/store.ts';
import type { KnownRepository } from '../vcs/module-register.ts';
import type { OnPush } from '../webhooks/delivery-queue.ts';
import type { Answering } from './answering.ts';
import type { DirectParts } from './direct-parts.ts';
import { pushAction } from './push-action.ts';

/** Read at each push: a reload makes other parts. */
export interface PushDeps {
  /** Undefined: nothing is answered yet. */
  answering(): Answering | undefined;
  direct(): DirectParts | undefined;
  /** Tells the other processes. */
  readonly store: Pick<Store, 'tellOutdated'>;
}

export function onPush(deps: PushDeps): OnPush {
  const answering = (): Answering => {
    const now = deps.answering();
    if (now === undefined) throw new ModferryError('not_ready', 'modferry is still starting');
    return now;
  };
  return pushAction({
    mirrors: { expire: (url) => deps.direct()?.vcs.mirrors.expire(url) ?? false },
    repositoriesOf(url): readonly KnownRepository[] {
      const direct = deps.direct();
      const known = direct?.source.repositoriesOf(url) ?? [];
      return known.length > 0 ? known : (direct?.derived(url) ?? []);
    },
    publishVersion: (path, version, signal) => fetchVersion(answering(), path, version, signal),
    async refreshLists(path, signal) {
      await deps.store.tellOutdated(path);
      await answering().expire(path);
      const { proxy } = answering();
      for (const kind of ['list', 'latest'] as const) {
        release(await proxy.handle({ kind, path }, contextOf(signal)));
      }
    },
    async refreshQueries(path) {
      await deps.store.tellOutdated(path);
      await answering().expireQueries(path);
    },
  });
}

/** False: no source has it. Rejects when it cannot be had. */
async function fetchVersion(
  { proxy, negatives }: Answering,
  path: ModulePath,
  version: Version,
  signal: AbortSignal,
): Promise<boolean> {
  negatives.forget(path);
  const exts: readonly ArtifactExt[] = ['info', 'mod', 'zip'];
  try {
    for (const ext of exts) {
      const key = { path, version, ext };
      release(await proxy.handle({ kind: 'artifact', key }, contextOf(signal)));
    }
    return true;
  } catch (error) {
    if (error instanceof SourcesFailure && error.isAbsence) return false;
    throw error;
  }
}

/** What a reply holds is given back: only that it is there was asked for. */
function release(reply: Reply): void {
  switch (reply.kind) {
    case 'file':
      void reply.file.close();
      return;
    case 'growing':
      reply.follower.leave();
      return;
    case 'passing':
      reply.body.close();
      return;
    default:
  }
}

function contextOf(signal: AbortSignal): RequestContext {
  return {
    id: 'push',
    client: '',
    signal,
    storedOnly: false,
    revalidate: true,
    wholeOnly: true,
    noHold: false,
    via: [],
  };
}
