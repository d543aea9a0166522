/**
 * Rules of ours on top of golang.org/x/mod/zip. Go accepts what they refuse, so they may never refuse a zip whose
 * h1 a checksum database proves (ruling 12): with `report` they only take notes. The list, by code:
 *
 * - `symlink`: attributes of a link, device, socket or pipe (Go extracts them as plain files);
 * - `encrypted`: the encryption flag (Go ignores it);
 * - `bad_crc`: CRC 0 without a data descriptor over content whose CRC is not 0 (Go takes it as not set);
 * - `header_mismatch`: a local header or data descriptor that disagrees with the central directory (Go reads the
 *   directory only);
 * - `bad_directory`: an end record with a wrong count or size, or one of several disks;
 * - `stray_bytes`: bytes before the first header, between entries, behind a deflate stream, before the directory
 *   or after the end, and entries that overlap.
 */

import type { ZipErrorCode, ZipOddity, ZipTarget } from './zip-types.ts';
import { ZipError } from './zip-types.ts';

const maxOddities = 20;

/** Collects or refuses broken extra rules. */
export class ExtraRules {
  readonly oddities: ZipOddity[] = [];
  readonly #refuse: boolean;

  constructor(mode: ZipTarget['extraRules']) {
    this.#refuse = mode !== 'report';
  }

  /** Notes a broken rule; throws ZipError unless rules are only reported. */
  broken(code: ZipErrorCode, message: string): void {
    if (this.#refuse) throw new ZipError(code, message, { fields: { extraRule: true } });
    if (this.oddities.length < maxOddities) this.oddities.push({ code, message });
  }
}
