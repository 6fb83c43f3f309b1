// What is known of Vulkan's handles.

#pragma once

#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <vector>

namespace smartmem {

// Handle -> record, for any number of threads. A record lives as long as someone holds it.
//
// Vulkan allows a driver to return one handle for several objects of the same content; such
// a handle is known until all of them are destroyed.
template <typename Handle, typename Record>
class HandleMap {
 public:
  void insert(Handle handle, std::shared_ptr<Record> record) {
    const std::unique_lock<std::shared_mutex> lock(mutex_);
    Entry& entry = entries_[handle];
    entry.record = std::move(record);
    ++entry.uses;
  }

  // Inserts a handle that may be known already, as of enumerations.
  void set(Handle handle, std::shared_ptr<Record> record) {
    const std::unique_lock<std::shared_mutex> lock(mutex_);
    entries_[handle] = {std::move(record), 1};
  }

  std::shared_ptr<Record> find(Handle handle) const {
    const std::shared_lock<std::shared_mutex> lock(mutex_);
    const auto entry = entries_.find(handle);
    return entry == entries_.end() ? nullptr : entry->second.record;
  }

  // Returns what the handle meant.
  std::shared_ptr<Record> erase(Handle handle) {
    const std::unique_lock<std::shared_mutex> lock(mutex_);
    const auto entry = entries_.find(handle);
    if (entry == entries_.end()) return nullptr;
    std::shared_ptr<Record> record = entry->second.record;
    if (--entry->second.uses == 0) entries_.erase(entry);
    return record;
  }

  template <typename Condition>
  void erase_if(Condition condition) {
    const std::unique_lock<std::shared_mutex> lock(mutex_);
    for (auto entry = entries_.begin(); entry != entries_.end();) {
      entry = condition(*entry->second.record) ? entries_.erase(entry) : std::next(entry);
    }
  }

 private:
  struct Entry {
    std::shared_ptr<Record> record;
    size_t uses = 0;
  };

  mutable std::shared_mutex mutex_;
  std::unordered_map<Handle, Entry> entries_;
};

}  // namespace smartmem
