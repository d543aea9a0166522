/**
 * What is done when a forge tells of a push: the repository is looked at anew, pushed versions are stored at once, and
 * lists and answers of its modules are no longer taken for fresh. Nothing of the delivery is fetched from: its addresses
 * only find repositories that are known here.
 */
import type { ModulePath, Version } from '../gomod/types.ts';
import { messageOf } from '../lib/errors.ts';
import type { KnownRepository } from '../vcs/module-register.ts';
import type { GitMirrors } from '../vcs/types.ts';
import type { DeliveryResult } from '../webhooks/delivery.ts';
import type { OnPush } from '../webhooks/delivery-queue.ts';
import type { Push } from '../webhooks/types.ts';
import { type PushedVersion, pushedModules } from './pushed-modules.ts';

export interface PushActionDeps {
  readonly mirrors: Pick<GitMirrors, 'expire'>;
  /** As of DirectSource: known by this address, whatever form a forge writes it in. */
  repositoriesOf(url: string): readonly KnownRepository[];
  /** Asks .info, .mod and .zip through the proxy. False: there is no such version. Rejects when it cannot be had. */
  publishVersion(path: ModulePath, version: Version, signal: AbortSignal): Promise<boolean>;
  /** The module's list and @latest are asked anew. */
  refreshLists(path: ModulePath, signal: AbortSignal): Promise<void>;
  /** Every remembered query of the module is asked anew when somebody asks next. */
  refreshQueries(path: ModulePath, signal: AbortSignal): Promise<void>;
}

/** For `createWebhooks`. Rejects with the signal's reason only. */
export function pushAction(deps: PushActionDeps): OnPush {
  return async (push, _delivery, signal) => {
    const repositories = knownOf(push, deps);
    if (repositories.length === 0) return { outcome: 'unknown', published: [], refreshed: [], refused: [] };
    for (const { url } of repositories) deps.mirrors.expire(url);
    const tally = new Tally();
    for (const repository of repositories) await act(deps, push, repository, tally, signal);
    return tally.result();
  };
}

function knownOf({ urls }: Push, deps: PushActionDeps): readonly KnownRepository[] {
  const found = new Map<string, KnownRepository>();
  for (const url of urls) {
    for (const each of deps.repositoriesOf(url)) found.set(`${each.url}\n${each.root}\n${each.subdir}`, each);
  }
  return [...found.values()];
}

async function act(
  deps: PushActionDeps,
  push: Push,
  repository: KnownRepository,
  tally: Tally,
  signal: AbortSignal,
): Promise<void> {
  const { versions, lists, queries } = pushedModules(push, repository);
  for (const candidates of versions) await publish(deps, candidates, tally, signal);
  for (const path of lists) {
    try {
      await deps.refreshLists(path, signal);
      tally.refreshed.add(path);
    } catch (error) {
      signal.throwIfAborted();
      // A tag may be of one of several modules; those that nobody has asked for may not be there at all.
      if (repository.paths.includes(path)) tally.refused.push({ name: path, why: messageOf(error) });
    }
  }
  for (const path of queries) {
    try {
      await deps.refreshQueries(path, signal);
      tally.refreshed.add(path);
    } catch (error) {
      signal.throwIfAborted();
      tally.refused.push({ name: path, why: messageOf(error) });
    }
  }
}

/** One of them is enough: which of them the tag is, the repository knows. */
async function publish(
  deps: PushActionDeps,
  candidates: readonly PushedVersion[],
  tally: Tally,
  signal: AbortSignal,
): Promise<void> {
  const refused: { name: string; why: string }[] = [];
  for (const { path, version } of candidates) {
    const name = `${path}@${version}`;
    try {
      if (await deps.publishVersion(path, version, signal)) {
        tally.published.add(name);
        return;
      }
      refused.push({ name, why: 'there is no such version in the repository' });
    } catch (error) {
      signal.throwIfAborted();
      refused.push({ name, why: messageOf(error) });
    }
  }
  tally.refused.push(...refused);
}

class Tally {
  readonly published = new Set<string>();
  readonly refreshed = new Set<string>();
  readonly refused: { name: string; why: string }[] = [];

  result(): DeliveryResult {
    const isSome = this.published.size > 0 || this.refreshed.size > 0;
    return {
      outcome: this.refused.length === 0 ? 'done' : isSome ? 'part' : 'failed',
      published: [...this.published],
      refreshed: [...this.refreshed],
      refused: this.refused,
    };
  }
}
