/** Largest file that is read, in bytes: a book of 1,000 pages has about 3 MB of text. */
export const largestDocumentBytes = 10_000_000;
