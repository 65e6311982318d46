// Package lazydisk is a file system to lose data with: a FUSE mount that passes everything on to a directory beneath it,
// can be made slow, full, faulty or stuck while it is in use, and forgets at a power loss what was not fsynced.
//
//	d, err := lazydisk.Mount(dir)        // dir is now a Disk, what was in it is still there
//	d.SlowSync(50 * time.Millisecond)    // each fsync takes longer
//	d.FailSync(1)                        // the next fsync answers EIO, and what it should have written never will be
//	d.Fill(true)                         // ENOSPC
//	d.Hang()                             // fsyncs do not return, not even to a process that is killed
//	d.IgnoreSync(true)                   // a disk that lies
//	d.Heal()                             // all of that ends
//	d.PowerLoss(random)                  // once no process uses it
//
// # What a power loss takes
//
// For each file the Disk keeps, page by page, what an fsync has last made durable. At a power loss each page that was
// written since is lost, kept, or torn between two sectors, and so is the file's new length: a disk may have written any
// part of it. What was created, renamed or removed is undone from the last back to some moment after the last fsync of
// any file or directory: file systems with a journal (ext4, XFS) write it together with the fsync that comes next. After an
// fsync that failed, its pages are not durable until they are written anew, although the next fsync succeeds, as on
// Linux.
//
// The file system is mounted anew at a power loss, so that nothing is left in the kernel's caches, mappings included.
//
// Nothing is really fsynced beneath: the machine itself does not lose its power.
//
// A Disk is served by the process that mounted it. That one may read and write the files, but not map them: a page fault
// holds up the whole of a Go process, which could then not serve it.
package lazydisk
