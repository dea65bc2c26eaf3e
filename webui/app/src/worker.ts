// Works on bodies off the page, so that a large one does not hold up typing and scrolling: loads them, finds their lines,
// makes text of them. Bytes travel by transfer.

import { range } from './api/client.ts'
import { invalidAt, nature, toUTF8 } from './lib/content.ts'
import { convert } from './lib/convert.ts'
import type { Job, Result } from './lib/jobs.ts'
import { scan, type Lines, type Scanner } from './lib/lines.ts'

const scope = self as unknown as { onmessage: (e: MessageEvent<Job>) => void; postMessage(value: Result, transfer: Transferable[]): void }

function buffers(bytes: Uint8Array<ArrayBuffer>, l: Lines | undefined): Transferable[] {
  // Empty arrays may share what others have.
  const all = [bytes.buffer, ...(l ? [l.starts.buffer, l.ends.buffer, l.depth.buffer, l.close.buffer, l.keys.buffer, l.keyEnds.buffer, l.comma.buffer] : [])]
  return [...new Set(all)]
}

async function work(job: Job): Promise<void> {
  switch (job.task) {
    case 'scan': {
      const lines = scan(job.kind, job.bytes)
      return scope.postMessage({ bytes: job.bytes, lines }, buffers(job.bytes, lines))
    }
    case 'convert': {
      const made = await convert(job.bytes, job.conversion)
      const bytes = new TextEncoder().encode(made.text)
      const kind: Scanner = job.conversion.to === 'script' || job.conversion.to === 'style' ? 'text' : 'json'
      const lines = scan(kind, bytes)
      return scope.postMessage({ bytes, lines, kind, cut: made.cut, broken: made.broken }, buffers(bytes, lines))
    }
    case 'load': {
      let told = 0
      const got = await range(job.path, 0, job.limit, undefined, (n) => {
        if (n - told < 1 << 20) return
        told = n
        scope.postMessage({ progress: n }, [])
      })
      const n = nature(job.type, got.bytes.subarray(0, 8192))
      const textual = n.text
      const bytes = textual ? toUTF8(got.bytes, n.charset) : got.bytes
      const kind: Scanner | undefined = !textual ? undefined : n.looks[0] === 'json' || n.looks[0] === 'xml' ? n.looks[0] : 'text'
      const lines = kind && scan(kind, bytes)
      const invalid = textual ? invalidAt(bytes) : -1
      return scope.postMessage({ bytes, total: got.total, broken: got.broken, nature: n, transcoded: bytes !== got.bytes, invalid, kind, lines }, buffers(bytes, lines))
    }
  }
}

scope.onmessage = (e) => {
  work(e.data).catch((error: unknown) => scope.postMessage({ problem: error instanceof Error ? error.message : String(error) }, []))
}
