/** Keeps what is behind one private route from being given out under a path that is behind another, or behind none. */
import { parseGoModLax } from '../gomod/go-mod-file.ts';
import type { ModulePath } from '../gomod/types.ts';
import { isCanonical } from '../gomod/version.ts';
import type { ModuleAnswers } from './module-answers.ts';
import { foldedPath, otherRoute, type PrivateRoutes } from './private-routes.ts';
import { VcsError } from './types.ts';

/**
 * The same answers, but VcsError `refused` for versions whose go.mod names a module on another private route: under a
 * path that is not its own, a module belongs to those who may read its own. Forks that name a public path pass.
 */
export function ownAnswers(answers: ModuleAnswers, path: ModulePath, routes: PrivateRoutes): ModuleAnswers {
  const checked = (goMod: Buffer): void => {
    const declared = parseGoModLax(goMod).module;
    if (declared === undefined || declared === path) return;
    const route = otherRoute(routes, path, declared) ?? otherRoute(routes, path, foldedPath(declared));
    if (route === undefined) return;
    throw new VcsError(
      'refused',
      `what ${path} leads to calls itself ${declared} in its go.mod, which is on the private route ${route}; ask for it by that name`,
    );
  };
  const checkedInfo = async (info: string, signal: AbortSignal): Promise<string> => {
    const { Version: version } = JSON.parse(info) as { readonly Version?: unknown };
    if (typeof version !== 'string' || !isCanonical(version)) return info;
    checked(await answers.goMod(version, signal));
    return info;
  };
  return {
    list: (signal) => answers.list(signal),
    latest: async (signal) => await checkedInfo(await answers.latest(signal), signal),
    info: async (query, signal) => await checkedInfo(await answers.info(query, signal), signal),
    async goMod(version, signal, commit) {
      const goMod = await answers.goMod(version, signal, commit);
      checked(goMod);
      return goMod;
    },
    async zip(version, file, signal, commit) {
      checked(await answers.goMod(version, signal, commit));
      await answers.zip(version, file, signal, commit);
    },
  };
}
