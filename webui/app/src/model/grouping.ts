// What exchanges can be grouped by.

export type Grouping = 'host' | 'client' | 'connection'
export const groupings: readonly Grouping[] = ['host', 'client', 'connection']
