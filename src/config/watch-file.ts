/**
 * Tells when the configuration file may have changed, for `watch_config`. The folder is watched, not the file:
 * editors and Kubernetes replace the file, and a watch on the old one would see nothing more.
 */
import { watch as watchFolder } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type { Clock, Timer } from '../lib/clock.ts';

/** Kubernetes swaps this link when a mounted ConfigMap changes. */
const configMapLink = '..data';

/** The part of `fs.watch` that is used. */
export type WatchFolder = (
  folder: string,
  onEvent: (fileName: string | undefined) => void,
  onError: (error: unknown) => void,
) => { close(): void };

export interface WatchFileOptions {
  readonly clock: Clock;
  /** Called once for a burst of changes, when it has been quiet for `quietMs`. */
  readonly onChange: () => void;
  /** The watch broke (folder gone, no more inotify watches). No more changes will be told. */
  readonly onError: (error: unknown) => void;
  /** Default 200. */
  readonly quietMs?: number;
  readonly watch?: WatchFolder;
}

/** Starts watching; returns the stop, which is idempotent. A failure to start goes to `onError`. */
export function watchConfigFile(file: string, options: WatchFileOptions): () => void {
  const { clock, onChange, onError, quietMs = 200, watch = nodeWatch } = options;
  const path = resolve(file);
  const name = basename(path);
  let timer: Timer | undefined;
  let watcher: { close(): void } | undefined;

  function stop(): void {
    timer?.cancel();
    timer = undefined;
    watcher?.close();
    watcher = undefined;
  }
  function onEvent(changed: string | undefined): void {
    // Some systems do not say which file it was.
    if (changed !== undefined && changed !== name && changed !== configMapLink) return;
    timer?.cancel();
    timer = clock.setTimeout(() => {
      timer = undefined;
      onChange();
    }, quietMs);
  }
  try {
    watcher = watch(dirname(path), onEvent, (error) => {
      stop();
      onError(error);
    });
  } catch (error) {
    onError(error);
  }
  return stop;
}

const nodeWatch: WatchFolder = (folder, onEvent, onError) => {
  const watcher = watchFolder(folder, { persistent: false }, (_, fileName) => onEvent(fileName ?? undefined));
  watcher.on('error', onError);
  return watcher;
};
