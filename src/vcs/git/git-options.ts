/** What the git runner and the mirrors can be told. The composition root maps the configuration to it. */
import type { HostPlaces } from '../../lib/host-places.ts';
import type { GitCredential } from '../types.ts';

/** Transports of git that modferry may be allowed to use; every other one never is. */
export type GitProtocol = 'https' | 'ssh' | 'http' | 'file';

export interface GitRunnerOptions {
  /** The git to run: a name that `searchPath` leads to, or an absolute path. Default `git`; 2.31 at least. */
  readonly command?: string | undefined;
  /** PATH of git and of what it starts (ssh). Nothing else of the process's environment reaches it. */
  readonly searchPath: string;
  /** Absolute path of an empty folder of modferry's own: HOME of git. Made when it is not there. */
  readonly homeDir: string;
  /** How many gits may talk to servers at once, four of them to one host. Default 32. */
  readonly maxConcurrent?: number | undefined;
  /** How many more may read mirrors. Default 8, or `maxConcurrent` where that is less. */
  readonly maxLocal?: number | undefined;
  /** How many more wait for a place, in each of the two; one more is `busy`. Default 256. */
  readonly maxQueued?: number | undefined;
  /** How long one waits for a place before it is `busy`. Default 60,000. */
  readonly queueTimeoutMs?: number | undefined;
  readonly transport?: GitTransportOptions | undefined;
}

export interface GitTransportOptions {
  /** Default `https` and `ssh`. `file` and `http` are for places that a static rule names, and for tests. */
  readonly protocols?: readonly GitProtocol[] | undefined;
  /** Name or absolute path of ssh. Default `ssh`. */
  readonly sshCommand?: string | undefined;
  /** Until ssh is connected. Default 20,000. */
  readonly connectTimeoutMs?: number | undefined;
  /** An http(s) transfer slower than this for `lowSpeedTimeMs` is given up. Default 1,000. */
  readonly lowSpeedBytesPerSecond?: number | undefined;
  /** Default 60,000. */
  readonly lowSpeedTimeMs?: number | undefined;
  /**
   * Outbound proxy for an http(s) repository (http, https, socks5 or socks5h URL); undefined: straight. Awaited before
   * each git; its rejection is the call's.
   */
  readonly proxyFor?: ((url: string) => string | undefined | Promise<string | undefined>) | undefined;
  /** PEM file of the authorities that an https repository's certificate is checked against; undefined: git's own. */
  readonly caFileFor?: ((url: string) => string | undefined) | undefined;
  /**
   * Addresses, separated by commas, that the host of an https, http or ssh repository was found to have when it was
   * checked, so that a second look-up cannot lead elsewhere; undefined: git looks it up.
   */
  readonly addressFor?: ((url: string) => string | undefined) | undefined;
  /** False: git follows no redirect of this repository. Default: the first one, without credentials. */
  readonly followsRedirects?: ((url: string) => boolean) | undefined;
  /** Places of gits that talk to servers, shared between runners. Default: places of its own. */
  readonly places?: HostPlaces | undefined;
}

/** What one run of git may reach: nothing but its own files, or one server. */
export type GitReach = 'local' | RemoteReach;

export interface RemoteReach {
  /** Checked. */
  readonly url: string;
  /** What `proxyFor` said; undefined: straight. */
  readonly proxy?: string | undefined;
  readonly credential: GitCredential | undefined;
  /** Where the same server said that this repository is now. */
  readonly movedTo?: string | undefined;
  /** Writes the headers of http answers to standard error; git itself hides those with secrets. */
  readonly showsHeaders?: boolean | undefined;
}
