const origins: Record<string, string> = {
  flag: 'a flag of eaves run', environment: 'an environment variable', file: 'eaves.yaml', settings: 'this page', default: 'nobody yet: this is the default',
}

/** saidBy names what gave a value. */
export function saidBy(source: string): string {
  return origins[source] ?? source
}

/** Locked says why something cannot be changed here. */
export function Locked({ source, keys }: { source: string; keys: string }) {
  return <p class="note locked-note"><strong>Locked:</strong> set by {saidBy(source)}, which wins over this page. Take {keys} out there and start eaves again to set it here.</p>
}
