// Says what the console weighs, and fails when that is too much: a reader waits for it.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

/** How many bytes all files may be, each gzipped. */
const most = 300_000

/** weigh prints what the files of a directory weigh. */
export async function weigh(dir) {
  const files = await Promise.all((await readdir(dir, { recursive: true, withFileTypes: true })).filter((e) => e.isFile())
    .map(async (e) => ({ name: e.name, bytes: gzipSync(await readFile(join(e.parentPath ?? e.path, e.name)), { level: 9 }).length })))
  const sum = files.reduce((n, f) => n + f.bytes, 0)
  console.log(`${files.length} files, gzipped ${kB(sum)} of at most ${kB(most)}`)
  if (sum <= most) return
  const heaviest = files.sort((a, b) => b.bytes - a.bytes).slice(0, 10).map((f) => `  ${kB(f.bytes)} ${f.name}`).join('\n')
  console.error(`the console is ${sum - most} bytes too heavy: find what it can do without, or load less (esbuild --analyze shows what is in it). The heaviest:\n${heaviest}`)
  process.exitCode = 1
}

function kB(bytes) {
  return `${(bytes / 1000).toFixed(1)} kB`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await weigh(process.argv[2] ?? fileURLToPath(new URL('../../dist', import.meta.url)))
