/** Go's own checksum database: its name, key and addresses are part of the `go` command (cmd/go/internal/modfetch/key.go). */

export const officialName = 'sum.golang.org';

export const officialKey = 'sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8';

/** The second one is for places that cannot reach the first. */
export const officialUrls = ['https://sum.golang.org', 'https://sum.golang.google.cn'] as const;

/** In GOSUMDB a name of its own for the official database, at its address (ruling 22). */
export const chinaName = 'sum.golang.google.cn';
