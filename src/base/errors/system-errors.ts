import { line } from "./define-error.ts";

// Configuration and the data directory
export const ConfigurationInvalidError = line(
  "ConfigurationInvalidError",
  "configuration_invalid",
  [500, "critical", "configuration", "final"],
  "The configuration has faults",
  "All faults are listed at once, each with its key, where the value came from and what is valid. `candor config` shows every value and its origin.",
);
export const SettingRefusedError = line(
  "SettingRefusedError",
  "setting_refused",
  [409, "low", "configuration", "final"],
  "This setting cannot be changed at run time",
  "It is a start-up key, or a flag or the environment overrides it; the message says which.",
);
export const DataDirectoryInUseError = line(
  "DataDirectoryInUseError",
  "data_directory_in_use",
  [409, "medium", "configuration", "retry"],
  "Another process owns the data directory",
  "Use the running server, stop it, or name another directory with CANDOR_HOME.",
);
export const DataDirectoryUnusableError = line(
  "DataDirectoryUnusableError",
  "data_directory_unusable",
  [500, "critical", "file_system", "final"],
  "The data directory cannot be written",
  "Check that it exists, is a directory, and that this user may write to it.",
);
export const DataDirectoryNotEmptyError = line(
  "DataDirectoryNotEmptyError",
  "data_directory_not_empty",
  [409, "low", "configuration", "final"],
  "The data directory already holds something",
  "Restore into another directory with --to, or add --replace: what is there is put aside, not deleted.",
);
export const PortInUseError = line(
  "PortInUseError",
  "port_in_use",
  [409, "medium", "configuration", "final"],
  "The port is taken",
  "Choose another with --port or CANDOR_PORT, or stop the program that holds it.",
);
export const RuntimeTooOldError = line(
  "RuntimeTooOldError",
  "runtime_too_old",
  [500, "critical", "configuration", "final"],
  "This Node is too old",
  "Node 24.15 or newer is needed: older ones carry a SQLite that can corrupt a write-ahead log.",
);
export const ServerUnreachableError = line(
  "ServerUnreachableError",
  "server_unreachable",
  [503, "medium", "network", "retry"],
  "The server of this data directory does not answer",
  "It may be starting or ending. Try again; `candor doctor` says more.",
);

// The way out
export const DestinationRefusedError = line(
  "DestinationRefusedError",
  "destination_refused",
  [403, "medium", "security", "final"],
  "Candor does not connect to this address",
  "It is no plain https or http address, leads into this machine or a private network, or its certificate is not valid. Only destinations that the configuration names may be there.",
);
export const DestinationUnreachableError = line(
  "DestinationUnreachableError",
  "destination_unreachable",
  [502, "medium", "network", "retry"],
  "There is no connection to the other server",
  "Its name is not known, it refuses connections, or it closed this one. Check the address and the network, then try again.",
);
export const DestinationTimeoutError = line(
  "DestinationTimeoutError",
  "destination_timeout",
  [504, "medium", "network", "retry"],
  "The other server did not answer in time",
  "It may be overloaded or cut off. Try again later.",
);
export const AnswerRefusedError = line(
  "AnswerRefusedError",
  "answer_refused",
  [502, "medium", "external_api", "final"],
  "The answer of the other server cannot be taken",
  "It is larger than allowed, encoded in a way that was not asked for, redirects too often, or is not HTTP.",
);

// Database and disk
export const DatabaseUnavailableError = line(
  "DatabaseUnavailableError",
  "database_unavailable",
  [503, "critical", "database", "retry"],
  "The database does not answer",
  "Reads and writes wait until it is back; `/health` names the reason.",
);
export const DatabaseQueryError = line(
  "DatabaseQueryError",
  "database_query_failed",
  [500, "high", "database", "final"],
  "A database query failed",
  "A fault in Candor: the ledger entry holds the query’s place.",
);
export const DatabaseBusyError = line(
  "DatabaseBusyError",
  "database_busy",
  [503, "medium", "database", "retry"],
  "The database is locked",
  "Another program holds the file. Try again.",
);
export const DatabaseIntegrityError = line(
  "DatabaseIntegrityError",
  "database_integrity",
  [409, "medium", "database", "final"],
  "The change breaks a rule of the database",
  "Something it refers to is gone, or a value is out of range.",
);
export const DatabaseCorruptError = line(
  "DatabaseCorruptError",
  "database_corrupt",
  [500, "critical", "database", "final"],
  "The database file is damaged",
  "Stop Candor and run `candor restore` with the last good backup; the message names it where one was found.",
);
export const DatabaseTouchedError = line(
  "DatabaseTouchedError",
  "database_touched",
  [409, "medium", "database", "final"],
  "Files of the database changed while Candor was stopped",
  "Another program wrote to them. Their structure is sound, so Candor goes on; if nobody did that on purpose, restore a backup.",
);
export const KeywordIndexDamagedError = line(
  "KeywordIndexDamagedError",
  "keyword_index_damaged",
  [503, "high", "database", "retry"],
  "The keyword index of a collection is damaged",
  "It is made again from the stored texts; until then nothing is found by words in that collection. A restart tries again what failed.",
);
export const DatabaseReadOnlyError = line(
  "DatabaseReadOnlyError",
  "database_read_only",
  [503, "critical", "database", "final"],
  "The store takes no more writes",
  "A write could not be made durable, or the file may not be written. Reads go on; check the disk and restart.",
);
export const SchemaTooNewError = line(
  "SchemaTooNewError",
  "schema_too_new",
  [500, "critical", "database", "final"],
  "The database was written by a newer Candor",
  "Use that version or a newer one, or restore a copy from before: a database is never downgraded.",
);
export const BackupInvalidError = line(
  "BackupInvalidError",
  "backup_invalid",
  [422, "high", "file_system", "final"],
  "The backup cannot be restored",
  "It is damaged, incomplete or no backup of Candor; the message names the file. Nothing was changed: use another one.",
);
export const MigrationFailedError = line(
  "MigrationFailedError",
  "migration_failed",
  [500, "critical", "database", "final"],
  "The database could not be brought up to date",
  "It is as it was before the failing step; a copy lies in `backups/`.",
);
export const DiskFullError = line(
  "DiskFullError",
  "disk_full",
  [507, "critical", "file_system", "retry"],
  "The disk is full",
  "Free some space: writes work again without a restart, reads work meanwhile.",
);
export const FileMissingError = line(
  "FileMissingError",
  "file_missing",
  [404, "low", "file_system", "final"],
  "The file or folder does not exist",
  "Check the path.",
);
export const FileUnreadableError = line(
  "FileUnreadableError",
  "file_unreadable",
  [422, "medium", "file_system", "final"],
  "The file cannot be read",
  "The message names the reason: permission, a broken disk, or something that is not a regular file.",
);
export const FileChangedError = line(
  "FileChangedError",
  "file_changed",
  [409, "low", "file_system", "retry"],
  "The file changed while it was read",
  "The next run reads it again.",
);
