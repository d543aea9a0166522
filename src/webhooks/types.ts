/** The border of `webhooks/`: what a forge tells of a push, once it is proven to be from that forge. */

export const forges = ['github', 'gitlab', 'gitea', 'gitee', 'generic'] as const;
export type Forge = (typeof forges)[number];

export interface PushedRef {
  /** `refs/tags/v1.0.0`, `refs/heads/main`. */
  readonly ref: string;
  /** New commit, '' when the forge does not tell it; undefined: deleted. */
  readonly after: string | undefined;
}

/** A push. URLs are only compared with repositories known here, never asked. */
export interface Push {
  /** Every address by which the forge calls the repository (https, ssh, web page). */
  readonly urls: readonly string[];
  readonly refs: readonly PushedRef[];
}
