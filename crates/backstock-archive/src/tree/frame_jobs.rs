//! Work on entries, put together by the frame that their members begin in: each archive of a chain is gone through once, from
//! its first frame to its last, however the archives take turns in the order of the paths.

/// Where a member begins: the number of its archive in the chain, and its frame there.
type Place = (u32, Option<u64>);

/// Collects work for each archive until its next frame begins.
pub(super) struct FrameJobs<T> {
    limit: usize,
    /// The open job of each archive: its frame, and what is to be done.
    open: Vec<(Place, Vec<T>)>,
}

impl<T> FrameJobs<T> {
    /// A job ends at so many pieces of work, if its frame does not end before.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, open: Vec::new() }
    }

    /// Adds work on a member; gives back the job that is full or over by that.
    pub(super) fn add(&mut self, archive: u32, frame: Option<u64>, work: T) -> Option<Vec<T>> {
        let Some((place, job)) = self.open.iter_mut().find(|(place, _)| place.0 == archive) else {
            self.open.push(((archive, frame), vec![work]));
            return None;
        };
        let ready = (place.1 != frame || job.len() >= self.limit).then(|| std::mem::take(job));
        place.1 = frame;
        job.push(work);
        ready
    }

    /// The jobs that are still open.
    pub(super) fn rest(self) -> impl Iterator<Item = Vec<T>> {
        self.open.into_iter().map(|(_, job)| job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_that_take_turns_do_not_end_each_others_jobs() {
        let mut jobs = FrameJobs::new(3);
        let mut ready = Vec::new();
        for (archive, frame, work) in
            [(0, 0, 'a'), (1, 0, 'b'), (0, 0, 'c'), (1, 1, 'd'), (0, 0, 'e'), (0, 0, 'f'), (0, 2, 'g')]
        {
            ready.extend(jobs.add(archive, Some(frame), work));
        }
        assert_eq!(ready, [vec!['b'], vec!['a', 'c', 'e'], vec!['f']]);
        assert_eq!(jobs.rest().collect::<Vec<_>>(), [vec!['g'], vec!['d']]);
    }
}
