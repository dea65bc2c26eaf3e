// Scans bodies off the page, so that a large one does not hold up typing and scrolling. The bytes travel by transfer and
// come back with their lines.

import { scan, type Scanner } from './lib/lines.ts'

export interface Job {
  kind: Scanner
  bytes: Uint8Array<ArrayBuffer>
}

const scope = self as unknown as { onmessage: (e: MessageEvent<Job>) => void; postMessage(value: unknown, transfer: Transferable[]): void }

scope.onmessage = (e) => {
  const { kind, bytes } = e.data
  const lines = scan(kind, bytes)
  scope.postMessage({ bytes, lines }, [
    bytes.buffer, lines.starts.buffer, lines.ends.buffer, lines.depth.buffer, lines.close.buffer, lines.keys.buffer, lines.keyEnds.buffer, lines.comma.buffer,
  ])
}
